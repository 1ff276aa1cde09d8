"""Makes `real.jsonl` from logs of real builds: `python -m tests.commands.from_logs DIRECTORY > rows`.

DIRECTORY holds, for each package, `NAME.log` as `benchmarks/standin.c` writes it, of a build in DIRECTORY/NAME. Of a
package's command lines that have the same shape (the same tool and options, whatever the files and macros are
called) one is taken, and at most 20 of one package. What cannot run outside its tree is left out: questions, command
lines that name files of the system or files outside the tree, options that read what `world.py` does not invent.

Libraries that are not the C library's own get a directory of stubs: `-L{top}/stub` is put at the end. It is the one
thing that is changed, beside the name of the tree and of the logging tool.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import standin
from tests.commands.world import SYSTEM_LIBRARIES, needs_of, tool_name

_QUESTIONS = re.compile(
    rb"conftest|^-$|^-print|^--?version$|^-dump|^-E$|^-MM?$|^-v$|^-V$|^-###$|^--help|^-specs|^-fplugin|^-fprofile-use"
    rb"|^/tmp/|testfile|sanity|CMakeTmp|^@|\.(la|h|hpp|rc|def)$|^-fauto-profile|/dev/null|^-x$"
)
_OUTPUT = (b"-o", b"-MF", b"-MT", b"-MQ")
_LONGEST = 6000
_MOST = 20


def _extension(path: bytes) -> bytes:
    return os.path.splitext(path)[1] or b"plain"


def shape(argv: Sequence[bytes]) -> tuple[bytes, ...]:
    """What makes a command line unlike others: its tool and options, without names, and how many files there are."""
    words: list[bytes] = [tool_name(argv[0]), b"/" if b"/" in argv[0] else b""]
    files: dict[bytes, int] = {}
    directories: dict[bytes, int] = {}
    follows = b""
    for arg in argv[1:]:
        if follows:
            words.append(follows + b"=" + _extension(arg))
            follows = b""
        elif arg in _OUTPUT:
            follows = arg
        elif arg[:2] in (b"-I", b"-D", b"-L", b"-l", b"-U"):
            directories[arg[:2]] = directories.get(arg[:2], 0) + 1
        elif arg.startswith(b"-"):
            words.append(re.sub(rb"[^,=]*/[^,]*|\d{2,}", b"N", arg))
        else:
            files[_extension(arg)] = files.get(_extension(arg), 0) + 1
    words += [b"%s*%d" % (ext, min(n, 3)) for ext, n in sorted(files.items())]
    words += [b"%s*%d" % (name, n) for name, n in sorted(directories.items())]
    return tuple(words)


def _relocated(argv: Sequence[bytes], root: bytes) -> list[bytes]:
    """The command line with the tree called {top}; the tool by its name, or as /usr/bin/NAME if it had a slash."""
    tool = os.path.basename(argv[0])
    words = [b"/usr/bin/" + tool if b"/" in argv[0] else tool]
    for arg in argv[1:]:
        changed = arg.replace(root, b"{top}")
        changed = re.sub(rb"/usr/lib/x86_64-linux-gnu/(lib[a-z0-9_+-]+\.so)$", rb"{top}/stub/\1", changed)
        words.append(changed)
    needs = needs_of(argv)
    if [name for name in needs.libraries if name not in SYSTEM_LIBRARIES]:
        words.append(b"-L{top}/stub")
    return words


def _outside(path: bytes, cwd: bytes, root: bytes) -> bool:
    full = os.path.normpath(os.path.join(cwd, path))
    return not full.startswith(root + b"/")


def _usable(call: standin.Logged, root: bytes) -> bool:
    argv = call.argv
    if not (call.cwd + b"/").startswith(root + b"/") or len(argv) < 3 or sum(map(len, argv)) > _LONGEST:
        return False
    if any(_QUESTIONS.search(arg) for arg in argv[1:]):
        return False
    needs = needs_of(argv)
    named = needs.sources + needs.objects + needs.archives + needs.forced + needs.outputs + needs.scripts
    named += [path for path in needs.shared + needs.programs if not path.startswith(b"/usr/lib")]
    reads = needs.sources + needs.objects + needs.archives + needs.shared + needs.programs
    return bool(reads) and not any(_outside(path, call.cwd, root) for path in named)


def _chosen(log: Path, root: bytes) -> list[standin.Logged]:
    """One call of each shape; when there are too many shapes, some from all parts of the build."""
    shapes: dict[tuple[bytes, ...], standin.Logged] = {}
    for call in standin.read(log):
        if _usable(call, root):
            shapes.setdefault(shape(call.argv), call)
    calls = list(shapes.values())
    return calls if len(calls) <= _MOST else [calls[at * len(calls) // _MOST] for at in range(_MOST)]


def rows(directory: Path) -> Iterator[dict[str, object]]:
    """The rows, package by package."""
    for log in sorted(directory.glob("*.log")):
        root = os.fsencode(directory / log.stem)
        for number, call in enumerate(_chosen(log, root), 1):
            cwd = os.path.relpath(call.cwd, root)
            yield {
                "name": f"{log.stem}-{number:02d}",
                "from": log.stem,
                "cwd": "" if cwd == b"." else os.fsdecode(cwd),
                "run": [[os.fsdecode(arg) for arg in _relocated(call.argv, root)]],
            }


if __name__ == "__main__":
    for row in rows(Path(sys.argv[1]).resolve()):
        print(json.dumps(row))
