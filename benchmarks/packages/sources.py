"""Debian's source packages: fetched once into a cache, unpacked as upstream released them.

`apt-get source` needs source entries (`deb-src`), which few systems have. The harness leaves the system's own alone:
it derives them from the binary entries of the system's release, into an apt configuration inside the cache.
Apt checks the archive's signature and each tarball's digest. No root is needed, except to install build
dependencies.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from benchmarks.packages.recipe import Recipe


class SourceError(Exception):
    """A package's source or its build dependencies are not to be had; says what to do."""


def _from_deb822(text: str) -> Iterable[tuple[str, str, str]]:
    for stanza in text.split("\n\n"):
        fields: dict[str, str] = {}
        for line in stanza.splitlines():
            key, colon, value = line.partition(":")
            if colon and not line.startswith(("#", " ")):
                fields[key.strip().lower()] = value.strip()
        if "deb" in fields.get("types", "").split():
            key = fields.get("signed-by", "")
            options = f"[signed-by={key}] " if key.startswith("/") else ""
            for uri in fields.get("uris", "").split():
                for suite in fields.get("suites", "").split():
                    yield suite, options, f"{uri} {suite} {fields.get('components', 'main')}"


def _from_list(text: str) -> Iterable[tuple[str, str, str]]:
    for line in text.splitlines():
        found = re.match(r"deb\s+(\[[^]]*\]\s+)?(\S+\s+(\S+)\s.*)", line.partition("#")[0].strip() + " ")
        if found:
            yield found[3], found[1] or "", found[2].strip()


def codename(os_release: Path = Path("/etc/os-release")) -> str:
    """The name of the system's release, as its archive names a suite ("bookworm", "noble"); empty if unknown."""
    for line in os_release.read_text().splitlines():
        name, _, value = line.partition("=")
        if name == "VERSION_CODENAME":
            return value.strip('"')
    return ""


def entries(release: str, etc: Path = Path("/etc/apt")) -> tuple[str, ...]:
    """The system's own archives of its release, as the tail of a source line: "[OPTIONS] URI SUITE COMPONENTS"."""
    found: list[tuple[str, str, str]] = []
    for file in (etc / "sources.list", *sorted(etc.glob("sources.list.d/*"))):
        if file.suffix == ".sources":
            found += _from_deb822(file.read_text())
        elif file.suffix == ".list" and file.is_file():
            found += _from_list(file.read_text())
    own = [options + rest for suite, options, rest in found if release and suite.partition("-")[0] == release]
    return tuple(dict.fromkeys(own))


def _configure_apt(state: Path) -> Path:
    for part in ("lists/partial", "cache/archives/partial", "none"):
        (state / part).mkdir(parents=True, exist_ok=True)
    archives = entries(codename())
    if not archives:
        raise SourceError("the system's apt knows no archive of its own release: sources cannot be fetched")
    (state / "sources.list").write_text("".join(f"deb-src {archive}\n" for archive in archives))
    config = state / "apt.conf"
    config.write_text(
        f'Dir::State::Lists "{state}/lists";\nDir::Cache "{state}/cache";\n'
        f'Dir::Etc::SourceList "{state}/sources.list";\nDir::Etc::SourceParts "{state}/none";\n'
        'Acquire::http::Timeout "30";\nAcquire::Retries "2";\n'
    )
    return config


def _run(argv: list[str], cwd: Path, config: Path | None, hint: str) -> str:
    env = os.environ | ({"APT_CONFIG": str(config)} if config else {}) | {"DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SourceError(f"{' '.join(argv)} failed:\n{done.stdout[-500:]}{done.stderr[-2000:]}\n{hint}")
    return done.stdout


def _tarball(directory: Path, recipe: Recipe) -> Path | None:
    """The upstream tarball of the recipe's version (or of a later one, if that is what Debian has now)."""
    found = [
        path
        for path in sorted(directory.glob(f"{recipe.source}_*.orig.tar.*"))
        if path.suffix in (".gz", ".bz2", ".xz", ".zst")
    ]
    exact = [path for path in found if path.name.startswith(f"{recipe.source}_{recipe.version}.")]
    return (exact or found)[-1] if found else None


def _download(cache: Path, source: str, wanted: str, *which: str) -> None:
    """Have apt bring a source package's files into the cache; `wanted` is what could be put there by hand instead.

    `which`: options of apt-get that say which of the files, if not all.
    """
    directory = cache / "download"
    if shutil.which("apt-get") is None:
        raise SourceError(f"no apt-get here: put {wanted} into {directory}")
    config = _configure_apt(cache / "apt")
    hint = f"a proxy or mirror may be set in {config}, or {wanted} be put into {directory} by hand"
    if not any((cache / "apt" / "lists").glob("*Sources*")):
        _run(["apt-get", "update", "-q"], directory, config, hint)
    _run(["apt-get", "source", "-q", "--download-only", *which, source], directory, config, hint)


def fetch(cache: Path, recipe: Recipe) -> Path:
    """The upstream tarball, from the cache or from Debian; SourceError with a hint when it cannot be had."""
    directory = cache / "download"
    directory.mkdir(parents=True, exist_ok=True)
    known = _tarball(directory, recipe)
    if known:
        return known
    wanted = f"{recipe.source}_VERSION.orig.tar.*"
    _download(cache, recipe.source, wanted, "--tar-only")
    fetched = _tarball(directory, recipe)
    if fetched is None:
        raise SourceError(f"apt-get source {recipe.source} brought no *.orig.tar.* into {directory}")
    return fetched


def described(directory: Path, source: str) -> Path | None:
    """The newest description (.dsc) of a source package that is in the cache with all its files."""
    whole = []
    for found in sorted(directory.glob(f"{source}_*.dsc"), key=lambda path: path.stat().st_mtime):
        files = re.findall(r"^ [0-9a-f]{64} \d+ (\S+)$", found.read_text(), re.MULTILINE)
        if files and all((directory / name).exists() for name in files):
            whole.append(found)
    return whole[-1] if whole else None


def fetch_debian(cache: Path, source: str) -> Path:
    """The description of a Debian source package, its files beside it; SourceError when it cannot be had."""
    directory = cache / "download"
    directory.mkdir(parents=True, exist_ok=True)
    known = described(directory, source)
    if known is None:
        _download(cache, source, f"the files of the source package {source}")
        known = described(directory, source)
    if known is None:
        raise SourceError(f"apt-get source {source} brought no whole source package into {directory}")
    return known


def unpack_debian(description: Path, into: Path) -> None:
    """A clean tree at `into`, with Debian's patches applied."""
    hint = "install dpkg-dev, or remove the package's files to fetch them again"
    _run(["dpkg-source", "--extract", "--no-check", str(description), str(into)], into.parent, None, hint)


def unpack(tarball: Path, into: Path) -> None:
    """A clean upstream tree at `into`, with the times that its release gave it (what was there is removed).

    Most tarballs hold one directory, which becomes `into`; some hold the files themselves, as dpkg-source knows too.
    """
    aside = into.with_name(into.name + ".unpacking")
    for old in (into, aside):
        shutil.rmtree(old, ignore_errors=True)
    aside.mkdir(parents=True)
    command = ["tar", "-xf", str(tarball), "--no-same-owner", "-C", str(aside)]
    _run(command, aside, None, "is the tarball whole? remove it to fetch it again")
    held = list(aside.iterdir())
    (held[0] if len(held) == 1 and held[0].is_dir() else aside).rename(into)
    shutil.rmtree(aside, ignore_errors=True)


def missing_dependencies(recipes: Iterable[Recipe]) -> tuple[str, ...]:
    """Debian packages that the recipes need and that are not installed."""
    return missing_packages(name for recipe in recipes for name in recipe.depends)


def missing_packages(names: Iterable[str]) -> tuple[str, ...]:
    """Those Debian packages that are not installed."""
    if shutil.which("dpkg-query") is None:
        return ()
    wanted = sorted(set(names))
    done = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *wanted],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    installed = {line.split()[0] for line in done.stdout.splitlines() if line.endswith(" installed")}
    return tuple(name for name in wanted if name not in installed)


def install_dependencies(packages: tuple[str, ...]) -> None:
    """Install Debian packages when we are root; SourceError with the command to type otherwise."""
    if not packages:
        return
    command = ["apt-get", "-o", "DPkg::Lock::Timeout=600", "install", "-y", "-q", "--no-install-recommends", *packages]
    if os.geteuid() != 0:
        raise SourceError(f"build dependencies are missing; run: sudo {' '.join(command)}")
    _run(command, Path("/"), None, "try `apt-get update` first")


def install_build_dependencies(description: Path, tree: Path) -> None:
    """Install what a Debian source package says it needs, when something is missing and we are root.

    That may remove others: zlib's gcc-multilib does the cross compilers of tests/debian-packages (`make packages` mends it).
    """
    asked = subprocess.run(["dpkg-checkbuilddeps"], cwd=tree, capture_output=True, text=True, check=False)
    if asked.returncode == 0:
        return
    command = ["apt-get", "-o", "DPkg::Lock::Timeout=600", "build-dep", "-y", "-q", "--no-install-recommends"]
    if os.geteuid() != 0:
        raise SourceError(f"{asked.stderr.strip()}\nrun: sudo {' '.join(command)} {description}")
    _run([*command, str(description)], tree, None, "try `apt-get update` first")
