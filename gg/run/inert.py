"""Which words of a compile reach no byte of its result, and how that is proved for a pair of compiles.

When nix compiles a package, the package's own store path is in two places: in `-frandom-seed`, from which GCC makes names
that must differ between files, and in NIX_LDFLAGS, which nix's wrapper of the compiler passes to links alone. When the
package is edited both change, though nearly all results stay as they are.

Two compiles that differ in nothing but these have one shape (`narrow`). The result of one is taken for the other if

  - the driver, asked by `-###` what it would start, says the same for both, seeds aside: variables that a wrapper reads and
    does not pass on are inert. It must start programs of the machine's, not scripts that read the variables again;
  - nothing in that command line puts the seed, or a digest of it, where it cannot be seen: debug information, LTO, coverage,
    plugins, recorded switches;
  - neither the seed nor a name made of it is in the result, neither in its files nor in what was printed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gg.core.thunk import Thunk, Work
from gg.light.regex import regex

_WORKS = (Work.COMPILE, Work.ASSEMBLE, Work.PREPROCESS)
_WRAPPERS = b"NIX_"
_SEED = regex(rb"(-frandom-seed=)([^\s'\"]*)")
_MADE_OF_A_SEED = regex(rb"_[0-9A-F]{8}_0x[0-9a-f]{1,16}")
HIDES = regex(
    rb"(?:^|[\s'\"])-(?:g(?!0\b|no-)(?=[\s'\"a-z0-9]|$)|flto|fprofile|ftest-coverage|-coverage|fplugin|fcompare-debug"
    rb"|frecord-gcc-switches|fsanitize|fcallgraph|fdump|save-temps|fverbose-asm|femit|fopenacc|fopenmp|foffload)"
)
_STARTED = regex(rb'(?m)^ "?([^\s"]+)')
_TEMPORARY = regex(rb"/cc[A-Za-z0-9]{6}\.")
_SECONDS = 20.0


def is_seeded(thunk: Thunk) -> bool:
    """Whether the thunk is a compile with such words."""
    return thunk.work in _WORKS and (
        any(name.startswith(_WRAPPERS) for name, _ in thunk.env) or any(_SEED.match(word) for word in thunk.argv)
    )


def without(thunk: Thunk) -> tuple[list[bytes], list[tuple[bytes, bytes]]]:
    """argv and environment of such a compile without the words that may differ: variables of wrappers, and seeds."""
    argv = [_plain(word) for word in thunk.argv]
    return argv, [(name, value) for name, value in thunk.env if not name.startswith(_WRAPPERS)]


class Inert:
    """The proofs of one run. The driver is asked once about each pair of environments and set of words."""

    def __init__(self) -> None:
        self._told: dict[tuple[object, ...], bytes | None] = {}

    def may_share(self, thunk: Thunk, old: Thunk) -> bool:
        """Whether two thunks of one shape are the same command, or start the same programs apart from seeds that cannot hide."""
        if thunk.argv == old.argv and thunk.env == old.env:
            return True
        said = self._started(thunk)
        return said is not None and said == self._started(old) and not any(map(HIDES.search, _commands(said)))

    def _started(self, thunk: Thunk) -> bytes | None:
        """The commands that the driver would start, without seeds; None if it does not tell."""
        named = {_last(each.path) for each in (*thunk.outputs, *thunk.entries)}
        words = tuple(word.rpartition(b".")[2] if _last(word) in named else word for word in thunk.argv)
        key = (thunk.program, thunk.cwd, words, thunk.env)
        if key not in self._told:
            self._told[key] = _asked(thunk)
        return self._told[key]


def _last(path: bytes) -> bytes:
    return path.rpartition(b"/")[2]


def _commands(said: bytes) -> list[bytes]:
    """The lines of `-###` that are commands."""
    return [line for line in said.splitlines() if line.startswith(b" ")]


def _asked(thunk: Thunk) -> bytes | None:
    import subprocess

    env: Mapping[bytes, bytes] = dict(thunk.env)
    command = [thunk.program, *thunk.argv[1:], b"-###"]
    try:
        done = subprocess.run(
            command, cwd=thunk.cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=_SECONDS
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = [_temporary(line) for line in done.stderr.splitlines()]
    said = _plain(b"\n".join(lines))
    started = _STARTED.findall(said)
    if done.returncode or not started or not all(_is_native(name, env) for name in started):
        return None
    return said


def _temporary(line: bytes) -> bytes:
    """The line without the name of a temporary file, which is a new one each time."""
    return _TEMPORARY.sub(b"/ccXXXXXX.", line)


def _is_native(name: bytes, env: Mapping[bytes, bytes]) -> bool:
    places = [name] if b"/" in name else [d + b"/" + name for d in env.get(b"PATH", b"").split(b":") if d]
    for place in places:
        try:
            with open(place, "rb", buffering=0) as file:
                return file.read(4) == b"\x7fELF"
        except OSError:
            continue
    return False


def shows_seed(thunk: Thunk, texts: Iterable[bytes]) -> bool:
    """Whether a result of the thunk (its files, what it printed) shows its seed, or a name that GCC made of one."""
    words = [*thunk.argv, *(value for name, value in thunk.env if name.startswith(_WRAPPERS))]
    seeds = {found[2] for word in words for found in _SEED.finditer(word) if found[2]}
    return any(_MADE_OF_A_SEED.search(text) or any(seed in text for seed in seeds) for text in texts)


def _plain(text: bytes) -> bytes:
    return _SEED.sub(rb"\1", text)
