"""A nix of the tests' own: `python -m tests.nix.world COMMAND...` runs a command in it.

Debian's nix, offline and without a daemon. Its /nix is a directory that stays from run to run (GG_NIX_WORLD says where), seen
in a mount namespace: nothing is made in the machine's own `/`. NIX_PATH's nixpkgs is `mini/`, the sandbox is on.
"""

from __future__ import annotations

import atexit
import fcntl
import functools
import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from benchmarks.packages import recipe, sources

HERE = Path(__file__).parent
MINI = HERE / "mini"
ROOT = HERE.parent.parent
ENTER = HERE / "enter.sh"
BUILD_USERS = HERE / "build-users.sh"
"""Runs a command where nix builds as users of its own, as it does where there is a daemon. For root."""
BUILD_GROUP = 30000
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root builds as others")

SECONDS = 1800.0
WHEELS = ("blake3", "boto3", "click", "msgpack", "rich", "cryptography", "zstandard")
"""What gg needs of others, as `nix/package.nix` names it."""

_CONFIGURATION = """\
substituters =
use-registries = false
build-users-group =
sandbox = relaxed
sandbox-fallback = false
sandbox-paths = /bin/sh=/bin/bash-static
experimental-features = nix-command flakes ca-derivations
max-jobs = 2
cores = 2
"""


def home() -> Path:
    """Where the store, and what goes into it, is kept."""
    return Path(os.environ.get("GG_NIX_WORLD") or f"{tempfile.gettempdir()}/gg-nix-{os.geteuid()}")


def entered(argv: Sequence[str]) -> list[str]:
    """The command that runs `argv` where /nix is the tests' own."""
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    return ["unshare", "--mount", *as_root, str(ENTER), str(home() / "nix"), *argv]


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """What nix is told: no network, the small nixpkgs, and where it finds what is copied into the store."""
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR", "XDG_CACHE_HOME") if name in os.environ}
    given = {
        "HOME": str(home() / "home"),
        "NIX_CONFIG": _CONFIGURATION,
        "NIX_PATH": f"nixpkgs={nixpkgs()}",
    }
    return kept | given | dict(extra or {})


def run(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    typed: str = "",
    seconds: float = SECONDS,
) -> subprocess.CompletedProcess[str]:
    """Run a command in the world, which is made ready first; its output is kept. `typed` is its input."""
    ready()
    return subprocess.run(
        entered(argv), cwd=cwd or MINI, env=environment(env), input=typed, capture_output=True,
        text=True, errors="replace", timeout=seconds, check=False,
    )  # fmt: skip


def build(*arguments: str, env: Mapping[str, str] | None = None, by: Sequence[str] = ()) -> list[str]:
    """`nix-build` without a link; the paths that it prints. AssertionError with its log if it fails. `by`: what runs it."""
    done = run([*by, "nix-build", "--no-out-link", *arguments], env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


_READS = {"mosh": ("zlib",)}  # other packages whose sources a package's derivation has


def source(package: str) -> Path:
    """Debian's upstream tarball of a package, fetched once; from then on the small nixpkgs has it, and what it needs is built."""
    ready()
    with _locked(home()):
        for each in (*_READS.get(package, ()), package):
            tarball = sources.fetch(home(), recipe.load()[each])
            _link(tarball, _nixpkgs() / "download" / tarball.name)
    build("-E", f"with import <nixpkgs> {{ }}; {package}.buildInputs ++ {package}.nativeBuildInputs")
    return tarball


def _link(file: Path, to: Path) -> None:
    if not to.exists():
        os.link(file, to)


@functools.cache
def nixpkgs() -> Path:
    """The small nixpkgs with what it takes from this machine: a directory of its own for each state of `mini/`."""
    ready()
    return _nixpkgs()


@functools.cache
def checkout() -> Path:
    """A clone, of which a flake can be: gg's sources and `nix/` as they are in the working tree."""
    ready()
    copy = Path(tempfile.mkdtemp(prefix="gg-checkout-")) / "gg"
    copy.mkdir()
    atexit.register(shutil.rmtree, copy.parent, ignore_errors=True)
    for part in ("gg", "toolchain-wrappers", "nix"):
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(ROOT / "LICENSE", copy)
    for words in (["init", "--quiet"], ["add", "."]):
        subprocess.run(["git", "-C", str(copy), *words], check=True)
    return copy


@functools.cache
def ready() -> None:
    """Make the store and the small nixpkgs, whoever comes first."""
    with _locked(home()):
        for part in ("nix/store", "nix/var", "home", "download", "wheels"):
            (home() / part).mkdir(parents=True, exist_ok=True)
        _lay_out_wheels(home() / "wheels")
        _lay_out_nixpkgs(_nixpkgs())


def _nixpkgs() -> Path:
    state = hashlib.sha256(_machine().encode())
    for path in sorted(MINI.rglob("*")):
        if path.is_file():
            state.update(f"{path.relative_to(MINI)}\0".encode() + path.read_bytes())
    return home() / f"nixpkgs-{state.hexdigest()[:12]}"


def _lay_out_nixpkgs(into: Path) -> None:
    if into.exists():
        return
    aside = into.with_name(into.name + ".new")
    shutil.rmtree(aside, ignore_errors=True)
    shutil.copytree(MINI, aside)
    shutil.copytree(home() / "wheels", aside / "wheels", copy_function=os.link)
    (aside / "download").mkdir()
    for tarball in (home() / "download").glob("*.orig.tar.*"):
        _link(tarball, aside / "download" / tarball.name)
    (aside / "machine.nix").write_text(_machine())
    aside.rename(into)


def _machine() -> str:
    """`machine.nix`: Debian's state, the tests' Python and what it has installed, and where sources are."""
    python = Path(sysconfig.get_path("stdlib")).name
    wheels = "".join(f"    {name} = ./wheels/{name};\n" for name in _closure(WHEELS))
    needed = " ".join(f'"{name}"' for name in _closure(WHEELS) if name not in WHEELS)
    return f"""{{
  debian = "{debian()}";
  python = "{os.path.realpath(sys.executable)}";
  pythonName = "{python}";
  needed = [ {needed} ];
  wheels = {{
{wheels}  }};
  source = name:
    let
      directory = ./download;
      isOne = file: builtins.match "${{name}}_.*[.]orig[.]tar[.](gz|bz2|xz)" file != null;
    in
    directory + "/${{builtins.head (builtins.filter isOne (builtins.attrNames (builtins.readDir directory)))}}";
}}
"""


@functools.cache
def debian() -> str:
    """A name for the state of those Debian packages that the bootstrap copies: another state, another store path."""
    names = (
        "gcc-*",
        "g++-*",
        "libc6*",
        "binutils",
        "coreutils",
        "bash",
        "make",
        "patchelf",
        "cmake",
        "perl",
        "libgcc-*",
    )
    command = ["dpkg-query", "-W", "-f", "${Package} ${Version} ${db:Status-Status}\n", *names]
    return hashlib.sha256(subprocess.run(command, capture_output=True, check=False).stdout).hexdigest()[:12]


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / "lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _lay_out_wheels(into: Path) -> None:
    """Copies of the installed distributions, one a directory: `mini/` makes packages of them."""
    for name in _closure(WHEELS):
        distribution = importlib.metadata.distribution(name)
        place = into / name
        if (place / f"version-{distribution.version}").exists():
            continue
        shutil.rmtree(place, ignore_errors=True)
        for file in distribution.files or ():
            if not {"..", "__pycache__", "RECORD", "INSTALLER"} & set(file.parts):
                (place / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(str(distribution.locate_file(file)), place / file)
        (place / f"version-{distribution.version}").touch()


@functools.cache
def _closure(names: Sequence[str]) -> tuple[str, ...]:
    """The distributions, by their plain names, with all that they need here."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name not in found:
            found.add(name)
            needs = map(Requirement, importlib.metadata.distribution(name).requires or ())
            waiting += [need.name for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})]
    return tuple(sorted(found))


if __name__ == "__main__":
    ready()
    command = entered(sys.argv[1:])
    os.execvpe(command[0], command, environment())
