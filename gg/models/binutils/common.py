"""What the models of the binary utilities share: the environment they keep, `@file`, names of trial files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from gg.light.regex import regex
from gg.models.binutils.options import Unmodelled
from gg.models.drafts import Call, PathKind, Probe, RunReal
from gg.models.toolchain import locale_files, program_files

VERSION = "1"

# The tools print messages in the user's language, and the loader finds their libraries by LD_LIBRARY_PATH.
# GNUTARGET chooses BFD's default format; SOURCE_DATE_EPOCH is used where a format needs a time.
KEPT = (
    b"LANG", b"LANGUAGE", b"LC_ALL", b"LC_COLLATE", b"LC_CTYPE", b"LC_MESSAGES",
    b"LD_LIBRARY_PATH", b"GNUTARGET", b"SOURCE_DATE_EPOCH",
)  # fmt: skip

_WORD = regex(rb"""(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|\\\Z)+""", re.DOTALL)
_QUOTED = regex(rb"""\\(.)|"((?:[^"\\]|\\.)*)"?|'((?:[^'\\]|\\.)*)'?|\\\Z""", re.DOTALL)
_ESCAPE = regex(rb"\\(.)", re.DOTALL)


def environment(call: Call, names: Iterable[bytes] = ()) -> dict[bytes, bytes]:
    """The variables that can matter to the result: KEPT and `names`, and PATH cut down to the tool's own directory."""
    env = call.env
    kept = {name: env[name] for name in (*KEPT, *names) if name in env}
    kept[b"PATH"] = call.tool.path.rpartition(b"/")[0] or b"/"
    kept[b"PWD"] = call.cwd
    return kept


def relative_entries(search: bytes) -> list[bytes]:
    """The directories of a colon list that are relative; an empty one is the current directory."""
    if search[:1] == b"/" and search[-1:] != b":" and search.count(b":/") == search.count(b":"):
        return []
    return [directory for directory in search.split(b":") if not directory.startswith(b"/")] if search else []


def directory_name(call: Call, probe: Probe) -> bytes:
    """PWD if it names the current directory (it becomes DW_AT_comp_dir), else that directory's own name."""
    pwd = call.env.get(b"PWD", b"")
    if pwd == call.cwd or not pwd.startswith(b"/"):
        return call.cwd
    return pwd if probe.realpath(pwd) == probe.realpath(call.cwd) else call.cwd


def tools(call: Call, probe: Probe) -> tuple[bytes, ...]:
    """The program, its loader and its libraries; the files of its locale."""
    own = program_files(probe, call.tool.path, _loading(call), plugins=False)
    return (*own, *locale_files(probe, call.env, call.tool.path))


def own_plugins(call: Call, probe: Probe) -> tuple[bytes, ...]:
    """The plugins that the program loads unasked, with their libraries; files that the program itself loads are left out."""
    env = _loading(call)
    own = set(program_files(probe, call.tool.path, env, plugins=False))
    return tuple([path for path in program_files(probe, call.tool.path, env) if path not in own])


def _loading(call: Call) -> Mapping[bytes, bytes] | None:
    return call.env if b"LD_LIBRARY_PATH" in call.env else None


def absolute(path: bytes, cwd: bytes) -> bytes:
    """`path` as seen from `cwd`, not folded."""
    return path if path.startswith(b"/") else cwd + b"/" + path


def text(word: bytes) -> str:
    """An argument, for a message."""
    return word.decode("utf-8", "backslashreplace")


_TRIAL_FILES = 8


def is_trial(operands: Sequence[bytes], call: Call) -> bool:
    """Whether a file among `operands` belongs to a configure script's trial.

    Only the first few are looked at: a trial has no more, and a thousand names need not be searched.
    """
    from gg.models.driver.trial import is_trial as of_driver  # late: the drivers' package imports this one

    return of_driver(operands[:_TRIAL_FILES], call.cwd, call.env.get(b"TMPDIR", b""))


def trial(operands: Sequence[bytes]) -> RunReal:
    return RunReal("a configure script's trial", reads=tuple(operands), reads_all=False, probe=True)


def split_words(text: bytes) -> list[bytes]:
    """The words of a response file, separated by white space, with quotes and backslashes as libiberty reads them."""
    return [_QUOTED.sub(_unquote, word) if _has_quotes(word) else word for word in _WORD.findall(text)]


def _has_quotes(word: bytes) -> bool:
    return b"\\" in word or b'"' in word or b"'" in word


def _unquote(match: re.Match[bytes]) -> bytes:
    plain, double, single = match.groups()
    if plain is not None:
        return plain
    return _ESCAPE.sub(rb"\1", double if double is not None else single or b"")


def expand(args: Sequence[bytes], cwd: bytes, probe: Probe) -> tuple[Sequence[bytes], list[bytes]]:
    """`args` with each `@file` replaced by the words in it, nested ones too; and those files.

    An `@file` that is not there stays as it is (it may be a file's real name). Unmodelled beyond 200 files.
    """
    if not any(arg[:1] == b"@" for arg in args):
        return args, []
    files: list[bytes] = []
    todo = list(reversed(args))
    done: list[bytes] = []
    while todo:
        arg = todo.pop()
        path = absolute(arg[1:], cwd)
        if arg[:1] != b"@" or probe.kind(path) is not PathKind.FILE:
            done.append(arg)
            continue
        if len(files) >= 200:
            raise Unmodelled("response files without end")
        try:
            words = split_words(probe.read(path))
        except OSError as error:
            raise Unmodelled(f"a response file cannot be read: {error.strerror}") from error
        files.append(arg[1:])
        todo.extend(reversed(words))
    return done, files


def in_place(path: bytes, cwd: bytes, probe: Probe) -> bytes:
    """The file that a tool changes when it is told to change `path`: a symbolic link is written through."""
    whole = absolute(path, cwd)
    real = probe.realpath(whole)
    if real == whole:
        return path
    directory, _, base = whole.rpartition(b"/")
    return path if real == probe.realpath(directory or b"/").rstrip(b"/") + b"/" + base else real


def question_env(program: bytes, env: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """The environment in which `program` (absolute) is asked about itself: untranslated, its own directory in PATH."""
    asked = {name: env[name] for name in (b"LD_LIBRARY_PATH",) if name in env}
    asked[b"PATH"] = program.rpartition(b"/")[0] or b"/"
    asked[b"LC_ALL"] = b"C"
    return asked
