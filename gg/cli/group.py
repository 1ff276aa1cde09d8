"""The commands as click knows them: `gg COMMAND`, and each on its own.

Commands are loaded when they are called, so `gg status` does not pay for what `gg doctor` imports.
"""

from __future__ import annotations

import importlib
import sys

import click

from gg import __version__
from gg.errors import Interrupted, UsageError

_COMMANDS = {
    "init": ("gg.cli.init", "Make this directory a workspace."),
    "infer": ("gg.cli.infer", "Run a build command and record what its tools would do."),
    "force": ("gg.cli.force", "Evaluate what was recorded and put real files in the placeholders' places."),
    "describe": ("gg.cli.describe", "Say what a placeholder, thunk or file is."),
    "status": ("gg.cli.status", "What is recorded and not forced yet, and how the last runs went."),
    "builds": ("gg.cli.builds", "The runs of gg-infer and gg-force, and those that are going on."),
    "show": ("gg.cli.show", "Say what became of a run, or what a thunk is."),
    "stats": ("gg.cli.stats", "What was recorded, run, known, saved and paid, by day."),
    "explain": ("gg.cli.explain", "Why a call ran for real, or why a thunk had to run."),
    "verify": ("gg.cli.verify", "Run again what made a file, and say which thunks are not deterministic."),
    "compare": ("gg.cli.compare", "Say how two builds differ, and what a patch really changes."),
    "export": ("gg.cli.export", "Write what a file is made of for nix, ninja, graphviz or as JSON."),
    "gc": ("gg.cli.gc", "Remove what is old and not needed by any placeholder."),
    "key": ("gg.cli.key", "The keys that shared results are signed with, and those that are trusted."),
    "trust": ("gg.cli.trust", "Let this workspace's gg.toml say more than harmless settings."),
    "deploy": ("gg.cli.deploy", "Put workers into an AWS account."),
    "undeploy": ("gg.cli.undeploy", "Take it out again."),
    "spot": ("gg.cli.spot", "Start, list and end machines with spot workers."),
    "worker": ("gg.cli.worker", "Run thunks for other machines, on this one."),
    "doctor": ("gg.cli.doctor", "Check that this machine has what gg needs."),
    "clean": ("gg.cli.clean", "Remove placeholders and a workspace's records."),
    "create-thunk": ("gg.cli.create_thunk", "Make a thunk for any program."),
    "nix": ("gg.cli.nix", "Builds of nix's by gg."),
    "hash": ("gg.cli.hash", "Print the hash of a file."),
    "collect": ("gg.cli.collect", "Put files into the store."),
}


class _Commands(click.Group):
    """Imports a command's module when the command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        return load(cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


def load(name: str) -> click.Command:
    command = importlib.import_module(_COMMANDS[name][0]).command
    assert isinstance(command, click.Command)
    return command


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gg")
def group() -> None:
    """Record an ordinary build as thunks, then force them: here, or on thousands of workers.

    \b
    gg-infer make -j8
    gg-force
    """


def call(command: click.Command, prog_name: str) -> int:
    """Run one command, and return its exit status. UsageError for a wrong command line."""
    try:
        status = command.main(prog_name=prog_name, standalone_mode=False)
    except click.exceptions.Abort:
        return Interrupted.exit_code
    except click.ClickException as error:
        _say_usage(error, prog_name)
        return UsageError.exit_code
    return status if isinstance(status, int) else 0


def _say_usage(error: click.ClickException, prog_name: str) -> None:
    """Report a wrong command line in one line, or in click's own words if they are longer (the help of a bare `gg`)."""
    message = error.format_message()
    if "\n" in message:
        error.show()
        return
    context = error.ctx if isinstance(error, click.UsageError) else None
    name = context.command_path if context else prog_name
    sys.stderr.write(f"{name}: {message[:1].lower()}{message[1:].rstrip('.')} (see {name} --help)\n")
