"""The linker command that a driver would run, taken apart. Pure.

The driver is asked to link `/dev/null` into OUTPUT; where that operand stands, the user's objects, libraries and -Wl
arguments go. What stands before and after are the start files, the default libraries and the end files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gg.light.regex import regex
from gg.light.slotted import slotted

if TYPE_CHECKING:
    from gg.models.toolchain.transcript import Argv, Transcript

INPUTS = b"/dev/null"
OUTPUT = b"/gg-output"
RESOLUTION = b"-plugin-opt=-fresolution="

_OBJECT = regex(rb"\.(?:o|obj)$")
_PAIRED = (b"-m", b"-dynamic-linker", b"--dynamic-linker", b"-plugin", b"--plugin", b"-o", b"-z", b"-L", b"-T", b"-h")


@slotted()
class LinkLine:
    """One link as the driver does it.

    `linker` is the program that links in the end (absolute, empty if it cannot be found), `collect` GCC's collect2 in
    front of it (empty for clang). `argv` is the whole command as the driver would start it, INPUTS where the user's
    operands go and OUTPUT as its output; the name of GCC's temporary resolution file is cut away, for it differs each
    time. `before` and `after` are the words of `argv` before and after INPUTS, without argv[0].

    `start_files` and `end_files` are the objects among them; `libraries` the words after INPUTS that are no object
    (`-lgcc --as-needed …` in order). `library_dirs` are the -L of the driver itself, in order and as printed.
    `plugin`, `dynamic_linker` and `emulation` are empty when there are none.
    """

    linker: bytes
    collect: bytes
    argv: Argv
    before: Argv
    after: Argv
    start_files: tuple[bytes, ...]
    end_files: tuple[bytes, ...]
    libraries: tuple[bytes, ...]
    library_dirs: tuple[bytes, ...]
    plugin: bytes
    plugin_options: tuple[bytes, ...]
    dynamic_linker: bytes
    emulation: bytes
    specs: tuple[bytes, ...]
    compiler_path: tuple[bytes, ...]
    lto_wrapper: bytes


def parse(transcript: Transcript, linker: bytes) -> LinkLine | None:
    """The link in a driver's answer, `linker` being what runs in the end; None when it would not link."""
    command = link_command(transcript)
    if command is None:
        return None
    argv = tuple(RESOLUTION if word.startswith(RESOLUTION) else word for word in command)
    at = argv.index(INPUTS)
    before, after = argv[1:at], argv[at + 1 :]
    return LinkLine(
        linker=linker,
        collect=argv[0] if is_collect(argv) else b"",
        argv=argv,
        before=before,
        after=after,
        start_files=_objects(before),
        end_files=_objects(after),
        libraries=tuple(word for word in after if not _is_object(word)),
        library_dirs=_library_dirs(argv),
        plugin=_after(argv, b"-plugin", b"--plugin"),
        plugin_options=tuple(w for w in argv if w.startswith((b"-plugin-opt=", b"--plugin-opt="))),
        dynamic_linker=_after(argv, b"-dynamic-linker", b"--dynamic-linker"),
        emulation=_after(argv, b"-m") or next((w[2:] for w in argv if w.startswith(b"-m")), b""),
        specs=transcript.specs,
        compiler_path=transcript.compiler_path,
        lto_wrapper=transcript.lto_wrapper,
    )


def link_command(said: Transcript) -> Argv | None:
    """The command of a driver's answer that links, None when it only compiles (cpp, or -c among the flags)."""
    for command in reversed(said.commands):
        if INPUTS in command and not {b"-cc1", b"-cc1as", b"-quiet"} & set(command):  # -quiet: GCC's compiler proper
            return command
    return None


def is_collect(argv: Argv) -> bool:
    """Whether a driver's command starts GCC's collect2, which looks for the linker itself."""
    return argv[0].rpartition(b"/")[2].startswith(b"collect2")


def linker_choice(argv: Argv) -> bytes:
    """The operand of the command's last -fuse-ld ("gold"), empty without one."""
    found = [word[9:] for word in argv if word.startswith(b"-fuse-ld=")]
    return found[-1] if found else b""


def _is_object(word: bytes) -> bool:
    return not word.startswith(b"-") and _OBJECT.search(word) is not None


def _objects(words: Argv) -> tuple[bytes, ...]:
    taken = [False, *(word in _PAIRED for word in words)]
    return tuple(word for word, value in zip(words, taken, strict=False) if not value and _is_object(word))


def _library_dirs(argv: Argv) -> tuple[bytes, ...]:
    found: list[bytes] = []
    for index, word in enumerate(argv):
        if word == b"-L":
            found.extend(argv[index + 1 : index + 2])
        elif word.startswith(b"-L"):
            found.append(word[2:])
    return tuple(found)


def _after(argv: Argv, *options: bytes) -> bytes:
    """The operand of the last of `options`, joined by `=` or as the next word."""
    found = b""
    for index, word in enumerate(argv):
        if word in options:
            found = argv[index + 1] if index + 1 < len(argv) else b""
        else:
            name, eq, value = word.partition(b"=")
            if eq and name in options:
                found = value
    return found
