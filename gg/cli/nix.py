"""`gg nix`: for users of nix."""

from __future__ import annotations

import click


@click.group("gg nix", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Builds of nix's by gg."""


@command.command("hook")
@click.argument("arguments", nargs=-1, metavar="[VERBOSITY]")
@click.option("--state", metavar="DIR", help="Where the state of all builds is kept; else among gg's own.")
def hook(arguments: tuple[str, ...], state: str) -> int:
    """nix's build hook: derivations as they are, their makes recorded and forced.

    nix starts it, by `build-hook = .../bin/gg-nix-hook` in nix.conf. gg must be a package of nix's.
    """
    from gg.host.command_directory import command_directory
    from gg.nix import hook as nix_hook
    from gg.workspace import settings

    return nix_hook.main(state or f"{settings.cache_home()}/nix", f"{command_directory()}/gg-infer")
