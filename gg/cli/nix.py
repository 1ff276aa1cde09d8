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
    from gg.workspace import homes

    return nix_hook.main(state or f"{homes.cache_home()}/nix", f"{command_directory()}/gg-infer")


@command.command("force")
@click.option(
    "--file", "-f", default="", metavar="FILE", help="The nix expression (default: that here, else <nixpkgs>)."
)
@click.option("--arg", nargs=2, multiple=True, metavar="NAME EXPRESSION", help="An argument of it.")
@click.option("--argstr", nargs=2, multiple=True, metavar="NAME STRING", help="An argument of it that is a string.")
@click.option("--engine", metavar="NAME[,NAME]", help="Where to run builders (default: local).")
@click.option("--jobs", "-j", type=click.IntRange(min=1), help="How many to run at once (default: processors).")
@click.option("--fallback", metavar="NAME|never", help="Where to run what an engine could not.")
@click.option("--store", metavar="URI", help="The shared store: s3://BUCKET/PREFIX?region=R.")
@click.option("--isolation", type=click.Choice(["pathmap", "namespace"]), help="How a builder is kept to its inputs.")
@click.option("--cores", type=click.IntRange(min=1), default=2, show_default=True, help="NIX_BUILD_CORES of builders.")
@click.option("--keep-going", "-k", is_flag=True, help="Go on with what does not need a failed derivation.")
@click.option("--keep-failed", "-K", is_flag=True, help="Run what failed again here, and keep its directory.")
@click.option(
    "--out-link", "-o", "link", default="", metavar="PATH", help="Make a link to the result, a root of nix's."
)
@click.argument("targets", nargs=-1, metavar="[DRV|ATTR]...")
def force(
    targets: tuple[str, ...],
    file: str,
    arg: tuple[tuple[str, str], ...],
    argstr: tuple[tuple[str, str], ...],
    engine: str | None,
    jobs: int | None,
    fallback: str | None,
    store: str | None,
    isolation: str | None,
    cores: int,
    keep_going: bool,
    keep_failed: bool,
    link: str,
) -> int:
    """Build derivations on any engine: each that nix would build is a thunk, its result is given to nix.

    DRV is a derivation's path, ATTR an attribute of the expression. Prints the outputs' paths. Exit status: 0, or 100 when a
    builder failed.
    """
    from gg.cli import nix_force

    given = [word for pair in arg for word in ("--arg", *pair)] + [
        word for pair in argstr for word in ("--argstr", *pair)
    ]
    return nix_force.force(
        targets,
        file=file,
        given=given,
        cores=cores,
        keep_failed=keep_failed,
        keep_going=keep_going,
        link=link,
        engine=engine,
        jobs=jobs,
        fallback=fallback,
        store=store,
        isolation=isolation,
    )


@command.command("store")
@click.option("--state", metavar="DIR", help="Where what is stored is kept; else among gg's own.")
@click.option("--mode", metavar="OCTAL", default="600", show_default=True, help="The socket's permissions.")
@click.argument("path", metavar="SOCKET")
def store(path: str, state: str | None, mode: str) -> int:
    """Serve a store to builds in nix's sandbox, until interrupted. Whoever may write to SOCKET is believed.

    Builders see it by `extra-sandbox-paths = SOCKET`, and use it by GG_STORAGE_URI=unix:SOCKET.
    """
    import os

    from gg.share.socket_server import StoreServer
    from gg.store.directory import DirectoryStore
    from gg.workspace import homes

    if len(mode) != 3 or not set(mode) <= set("01234567"):
        raise click.BadParameter(f"{mode!r} is no permissions, as 600 or 660", param_hint="--mode")
    kept = DirectoryStore(os.fsencode(state or f"{homes.cache_home()}/nix/store"))
    with kept, StoreServer(os.path.abspath(path), kept, int(mode, 8)) as server:
        click.echo(f"gg: a store is served at unix:{os.path.abspath(path)}", err=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 130
    return 0
