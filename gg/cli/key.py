"""`gg key`: the keys that results are signed with, and those that are believed."""

from __future__ import annotations

from typing import Any

import click

from gg.workspace import homes
from gg.workspace import settings as config


class _KeyCommand(click.Command):
    """A command about keys. It complains about missing packages when it is run, but not when it is asked for its help."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.params.append(click.Option(["--debug"], is_flag=True, hidden=True, expose_value=False))

    def invoke(self, ctx: click.Context) -> Any:
        from gg.aws.failures import need_extra

        need_extra("gg key", "cryptography")
        return super().invoke(ctx)


class _KeyGroup(click.Group):
    command_class = _KeyCommand


@click.group("gg key", cls=_KeyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Keys of a shared store: results that others have put there are used only if they are signed by a key you trust.

    Make a key of your own, and give what `gg key show` prints to your team; they trust it, or it goes into `trusted` in
    the project's gg.toml.
    """


@command.command("new")
@click.argument("name", default="default")
def new(name: str) -> int:
    """Make a key to sign with, called NAME; print its public half."""
    from gg.share import keys as trust

    click.echo(trust.new(homes.home(), name).public)
    return 0


@command.command("show")
@click.argument("name", required=False)
@click.option("--secret", is_flag=True, help="Print the secret half, for GG_KEY on a machine without a home.")
def show(name: str | None, secret: bool) -> int:
    """Print the public half of the key that signs, or of the one called NAME."""
    from gg.errors import UsageError
    from gg.share import keys as trust

    home = homes.home()
    keys = trust.secrets(home)
    key = trust.own(home, config.secret_key()) if name is None else next((k for k in keys if k.name == name), None)
    if key is None:
        what = f"there is no key {name}" if name else "no key signs here" if keys else "there is no key"
        raise UsageError(what, hint="make one with: gg key new; of several, the one called default signs")
    click.echo(key.text if secret else key.public)
    return 0


@command.command("list")
def list_() -> int:
    """List your own keys and those you trust; `*` is the one that signs."""
    from gg.share import keys as trust
    from gg.share.command_store import keyring
    from gg.workspace.workspace import Workspace

    workspace = Workspace.find()
    settings = config.load(workspace.root if workspace else None)
    signing = keyring(settings).own
    own = trust.secrets(homes.home())
    if signing is not None and signing not in own:
        own.append(signing)
    for key in own:
        click.echo(f"{'*' if key == signing else ' '} own      {key.public}")
    for known in trust.trusted(homes.home()):
        click.echo(f"  trusted  {known}")
    for text in settings.trusted:
        click.echo(f"  trusted  {trust.parse_public(text)} (gg.toml or GG_TRUSTED)")
    return 0


@command.command("trust")
@click.argument("key")
def trust_(key: str) -> int:
    """Use results that are signed by KEY, written NAME:BASE64 as `gg key show` prints it."""
    from gg.share import keys as trust

    found = trust.parse_public(key)
    fresh = trust.trust(homes.home(), found)
    click.echo(f"{'trusted' if fresh else 'trusted already'}: {found}")
    return 0


@command.command("distrust")
@click.argument("key")
def distrust(key: str) -> int:
    """Use the results of KEY, a name or NAME:BASE64, no more: those that this machine has are removed.

    What builds have made with them stays. For a key in a gg.toml: take it out there, and say its NAME:BASE64 here.
    """
    from gg.errors import UsageError
    from gg.share import keys as trust
    from gg.share.distrusted import remove_results

    gone = trust.distrust(homes.home(), key)
    signers = {each.raw for each in gone} | ({trust.parse_public(key).raw} if ":" in key else set())
    results = remove_results(signers)
    if not gone and not results:
        raise UsageError(
            f"no key {key} is trusted",
            hint="gg key list shows them; one in gg.toml is taken out there, and then named here as NAME:BASE64",
        )
    click.echo(f"no longer trusted: {len(gone)} {'key' if len(gone) == 1 else 'keys'}")
    if results:
        click.echo(f"removed: {results} {'result' if results == 1 else 'results'}; what was made with them: make clean")
    return 0
