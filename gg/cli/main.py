"""The entry points, and how every error reaches a person: one clear line and a documented exit status.

Only this package prints. The commands that are called most often, `gg-infer COMMAND`, `gg-force [TARGET...]` and
`gg-create-thunk`, run without click where possible: loading it takes longer than everything else in a small build.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
from collections.abc import Callable
from contextlib import suppress

from gg.cli import interrupts
from gg.errors import GGError, Interrupted, StoreError, UsageError, machine_error


class _Shown(io.TextIOWrapper):
    """The stream for gg's own messages. Names in them may come from anybody, so control characters are shown, not obeyed.

    The tools' messages go to the stream below, as bytes.
    """

    before: object = None  # the replaced stream, which would close the one below if it were forgotten

    def write(self, text: str) -> int:
        if text.isascii() and text.replace("\n", "").isprintable():
            return super().write(text)
        from gg.light.shown import in_text

        return super().write(in_text(text))


class _Told(_Shown):
    """Standard error. What nobody can be told, for it is full or closed, changes nothing of what is done and how that ends."""

    def write(self, text: str) -> int:
        with suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            super().flush()


def _show_controls() -> None:
    for name in ("stdout", "stderr"):
        old = getattr(sys, name)
        if type(old) is io.TextIOWrapper:
            # click puts a stream of its own, which obeys, in the place of one that is ASCII; and it is UTF-8 too
            encoding = "utf-8" if codecs.lookup(old.encoding).name == "ascii" else old.encoding
            shown = _Told if name == "stderr" else _Shown
            new = shown(old.buffer, encoding=encoding, errors=old.errors, line_buffering=old.line_buffering)
            new.before = old
            setattr(sys, name, new)


def run(action: Callable[[], int]) -> None:
    """Call `action` and exit with its status, or with the status of its error."""
    debug = "--debug" in sys.argv[1:]
    if None in (sys.stdin, sys.stdout, sys.stderr):
        _hold_standard_descriptors()
    _show_controls()
    try:
        interrupts.let_in()
        status = action()
    except KeyboardInterrupt:
        status = Interrupted.exit_code
    except GGError as error:
        if debug:
            raise
        _say(f"gg: {error.what}")
        if error.hint:
            _say(f"    {error.hint}")
        status = error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 141
    except Exception as error:
        if debug:
            raise
        if isinstance(error, FileNotFoundError) and _is_nowhere():
            _say("gg: the working directory is gone")
            leave(UsageError.exit_code)
        known = machine_error(error)
        if known:
            _say(f"gg: {known.what}")
            if known.hint:
                _say(f"    {known.hint}")
            leave(known.exit_code)
        _say(f"gg: internal error: {type(error).__name__}: {error}")
        _say("    this is a bug in gg; run the same command with --debug to see where")
        status = 70
    leave(status)


def _is_nowhere() -> bool:
    try:
        os.getcwd()
    except OSError:
        return True
    return False


def _hold_standard_descriptors() -> None:
    """Occupy missing descriptors of 0 to 2, so that no file of gg's gets such a number. The build is started without them."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:  # not inheritable, as every file that Python opens
        pass
    os.close(fd)
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


def leave(status: int) -> None:
    """End without taking the interpreter apart, which would be a tenth of a short command's time. All that matters is closed.

    A negative status is the signal that ended the command; this process ends by the same signal.
    """
    try:
        if sys.stdout:  # None when we were started without one
            sys.stdout.flush()
    except OSError as error:  # a full disk; a closed pipe is no error
        told, status = status, status or (141 if isinstance(error, BrokenPipeError) else StoreError.exit_code)
        if status != 141 and told != StoreError.exit_code:
            _say(f"gg: cannot write to standard output: {error.strerror}")
    with suppress(OSError, AttributeError):
        sys.stderr.flush()
    if status < 0:
        _end_by(-status)
    os._exit(status)


def _end_by(number: int) -> None:
    import resource
    import signal

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the command has left its own core
    with suppress(OSError, ValueError):
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    os._exit(128 + number)


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


def _by_click(name: str) -> Callable[[], int]:
    def action() -> int:
        from gg.cli.group import call, load

        return call(load(name), f"gg-{name}")

    return action


def _infer(words: list[str]) -> int:
    if words[0] == "--force":
        from gg.cli.rounds import infer_and_force

        return infer_and_force(words[1:], flags={})
    from gg.cli.infer_run import infer

    return infer(words)


def main() -> None:
    def action() -> int:
        from gg.cli.group import call, group
        from gg.cli.inside import leave_recording

        if sys.argv[1:2] != ["infer"]:
            leave_recording()
        return call(group, "gg")

    run(action)


def infer() -> None:
    words = sys.argv[1:]
    command = words[1:] if words[:1] == ["--force"] else words
    plain = command and not command[0].startswith("-") and "_GG_INFER_COMPLETE" not in os.environ
    run((lambda: _infer(words)) if plain else _by_click("infer"))


def force() -> None:
    from gg.cli.force_run import force as make
    from gg.cli.force_run import parse

    request = parse(sys.argv[1:]) if "_GG_FORCE_COMPLETE" not in os.environ else None
    if request is None:
        run(_by_click("force"))
    else:
        targets, flags = request
        run(lambda: make(targets, **flags))


def init() -> None:
    run(_by_click("init"))


def describe() -> None:
    def action() -> int:
        from gg.cli.inside import leave_recording

        leave_recording()
        return _by_click("describe")()

    run(action)


def create_thunk() -> None:
    from gg.cli.create_thunk_run import create, parse

    request = parse(sys.argv[1:])

    def action() -> int:
        assert request is not None
        _say(create(request))
        return 0

    run(action if request is not None and "_GG_CREATE_THUNK_COMPLETE" not in os.environ else _by_click("create-thunk"))


def hash_() -> None:
    run(_by_click("hash"))


def collect() -> None:
    run(_by_click("collect"))


def nix_hook() -> None:
    """`gg-nix-hook`. nix's setting names a program, without arguments."""
    sys.argv[1:1] = ["nix", "hook"]
    main()


COMMANDS = {
    "gg": main,
    "gg-init": init,
    "gg-infer": infer,
    "gg-force": force,
    "gg-describe": describe,
    "gg-create-thunk": create_thunk,
    "gg-hash": hash_,
    "gg-collect": collect,
    "gg-nix-hook": nix_hook,
}
