"""What gg costs and saves in nix's builds of one package: plainly, by withGg, by the build hook, by `gg nix force`;
and after an edit.

`python -m benchmarks.nix [--ways plain,withGg,hook,force] [PACKAGE...]`, in the tests' own nix (`tests/nix/world.py`). Prints a
table: seconds, and their ratios to those of the plain build.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.nix import world

GG = f"{sysconfig.get_path('scripts')}/gg"
WAYS = ("plain", "withGg", "hook", "force")
EDITED = {"zlib": "adler32.c", "hello": "src/hello.c", "mosh": "src/crypto/base64.cc", "words": "order.c"}


@dataclass(frozen=True, slots=True)
class Bench:
    """One package, new with `salt`. `gg`: its store path; `socket`: where a store is served, empty at first."""

    package: str
    salt: str
    overlay: str
    gg: str
    directory: Path

    @property
    def socket(self) -> str:
        return f"{self.directory}/store"

    @property
    def env(self) -> dict[str, str]:
        return {"XDG_CACHE_HOME": f"{self.directory}/cache", "GG_HOME": ""}

    def command(self, way: str, edit: str) -> list[str]:
        words = ["nix-build", "--no-out-link", "--option", "sandbox", "true", "-E"]
        package = self._package(way, edit)
        if way == "withGg":
            text = f'{self._begin} withGg {{ store = "{self.socket}"; }} {package}'
            return [*words, text, "--option", "extra-sandbox-paths", self.socket]
        if way == "hook":
            return [*words, f"{self._begin} {package}", "--option", "build-hook", f"{self.gg}/bin/gg-nix-hook"]
        if way == "force":
            file = self.directory / "force.nix"
            file.write_text(f"{{ it = {self._begin} {package}; }}")
            return [GG, "nix", "force", "--file", str(file), "it"]
        return [*words, f"{self._begin} {package}"]

    @property
    def _begin(self) -> str:
        return f"with import <nixpkgs> {{ overlays = [ ({self.overlay}) ]; }};"

    def _package(self, way: str, edit: str) -> str:
        name = f"added_{edit.strip()}"
        more = f"int {name}(int x); int {name}(int x) {{ return x; }}" if edit else ""
        patch = f"postPatch = \"echo '{more}' >> {EDITED[self.package]}\";"
        return f'({self.package}.overrideAttrs (old: {{ salt = "{self.salt}{way}"; {patch} }}))'


def measured(package: str, ways: Sequence[str]) -> dict[tuple[str, str], float]:
    """What each way took the first time, and with one more function in one source."""
    if package != "words":
        world.source(package)
    overlay = f"import {world.checkout()}/nix/overlay.nix"
    (gg,) = world.build("-E", f"(import <nixpkgs> {{ overlays = [ ({overlay}) ]; }}).gg")
    found = {}
    with tempfile.TemporaryDirectory() as short:
        bench = Bench(package, uuid.uuid4().hex, overlay, gg, Path(short))
        with _served(bench):
            for edit in ("", "edited"):
                for way in ways:
                    found[way, edit] = _seconds(bench.command(way, edit), bench.env)
                    print(f"{package} {edit} {way}: {found[way, edit]:.1f} s", file=sys.stderr, flush=True)
    return found


@contextmanager
def _served(bench: Bench) -> Iterator[None]:
    command = [GG, "nix", "store", "--state", f"{bench.directory}/kept", bench.socket]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        server.stderr.readline()
        try:
            yield
        finally:
            server.send_signal(signal.SIGINT)


def _seconds(command: Sequence[str], env: dict[str, str]) -> float:
    with tempfile.TemporaryDirectory() as directory:
        begun = time.monotonic()
        done = world.run(command, env=env, cwd=Path(directory), seconds=4 * world.SECONDS)
        assert done.returncode == 0, done.stderr
        return time.monotonic() - begun


def table(package: str, found: dict[tuple[str, str], float]) -> str:
    """A row for each way, the first build and the edited one side by side, each over the plain one of its kind."""
    lines = [f"| {package} | first, s | over plain | edited, s | over plain |", "|---" * 5 + "|"]
    for way in dict.fromkeys(way for way, _ in found):
        cells = [way]
        for edit in ("", "edited"):
            cells += [f"{found[way, edit]:.1f}", f"{found[way, edit] / found['plain', edit]:.2f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("packages", nargs="*", default=["zlib"])
    given = parser.parse_args()
    for each in given.packages:
        print(table(each, measured(each, given.ways.split(","))), flush=True)
