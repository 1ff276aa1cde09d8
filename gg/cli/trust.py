"""`gg trust`: which trees may have settings that are not harmless."""

from __future__ import annotations

import os
import sys

import click

from gg.errors import UsageError
from gg.workspace import allowed, homes
from gg.workspace import settings as config
from gg.workspace.workspace import Workspace


@click.command("gg trust", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--yes", "-y", is_flag=True, help="Allow it without a question.")
@click.option(
    "--state", is_flag=True, help="Use the state in .gg/ here, whoever put it there: its results are believed."
)
@click.option("--list", "list_", is_flag=True, help="List what was allowed, and what was refused.")
@click.option(
    "--remove", metavar="NAME", help="Allow it no more: a digest, a file or its directory, as --list has them."
)
@click.option("--debug", is_flag=True, hidden=True)
def command(yes: bool, state: bool, list_: bool, remove: str | None, debug: bool) -> int:
    """Show what this workspace's gg.toml says beyond harmless settings, and let it count.

    That is where results come from and go to, whose keys are believed, where work runs, and which tools are declared. It is
    remembered by its content: when that changes, it is asked for again.
    """
    if list_:
        return _list()
    if remove is not None:
        return _remove(remove)
    if state:
        from gg.workspace import in_tree

        click.echo(f"allowed: {in_tree.allow(os.path.realpath('.'), homes.home())}")
        return 0
    found = Workspace.find()
    held = config.held(found.root if found else os.path.realpath("."))
    if held is None:
        click.echo("nothing here has to be allowed")
        return 0
    from gg.cli.consent import answer, ask, shown

    if yes:
        click.echo("\n".join((f"allowed: {held.path}, {held.digest}", *shown(held))))
        answer(held, yes=True)
        return 0
    if not sys.stdin.isatty():
        click.echo("\n".join((f"{held.path}, {held.digest}", *shown(held))))
        raise UsageError("nobody is there to be asked", hint="gg trust --yes allows what is shown above")
    return 0 if ask(held) else 1


def _list() -> int:
    for each in allowed.listed(homes.home()):
        click.echo(f"{each.kind:8}  {each.name}  {each.path!r}")
    return 0


def _remove(name: str) -> int:
    gone = allowed.remove(homes.home(), name) or allowed.remove(homes.home(), os.path.realpath(name))
    if not gone:
        raise UsageError(f"nothing called {name!r} is allowed", hint="gg trust --list shows what is")
    click.echo(f"no longer allowed: {', '.join(each.name for each in gone)}")
    return 0
