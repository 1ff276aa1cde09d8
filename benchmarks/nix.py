"""What gg costs and saves in nix's builds of one package: plainly, by withGg, by the build hook, by `gg nix force`;
and after an edit.

`python -m benchmarks.nix [PACKAGE...]`, in the tests' own nix (`tests/nix/world.py`). Prints seconds, and their ratios to the
plain build's.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

from tests.nix import world

GG = f"{sysconfig.get_path('scripts')}/gg"
EDITED = {"zlib": "adler32.c", "hello": "src/hello.c", "mosh": "src/crypto/base64.cc", "words": "order.c"}


def measured(package: str) -> dict[str, float]:
    """Seconds of each way, first time and with one more function in one source."""
    if package != "words":
        world.source(package)
    overlay = f"import {world.checkout()}/nix/overlay.nix"
    salt, found = uuid.uuid4().hex, {}
    with tempfile.TemporaryDirectory() as short:
        socket = f"{short}/store"
        begin = f"with import <nixpkgs> {{ overlays = [ ({overlay}) ]; }}; "
        (gg,) = world.build("-E", begin + "gg")
        env = {"XDG_CACHE_HOME": f"{short}/cache", "GG_HOME": ""}
        words = ["nix-build", "--no-out-link", "--option", "sandbox", "true", "-E"]
        ways: dict[str, tuple[str, Sequence[str]]] = {
            "plain": ("", []),
            "withGg": (f'withGg {{ store = "{socket}"; }} ', ["--option", "extra-sandbox-paths", socket]),
            "hook": ("", ["--option", "build-hook", f"{gg}/bin/gg-nix-hook"]),
        }
        command = [GG, "nix", "store", "--state", f"{short}/kept", socket]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
            assert server.stderr is not None
            server.stderr.readline()
            for edit in ("", "edited "):
                for way, (by, options) in ways.items():
                    text = begin + by + _package(package, f"{salt}{way}", edit)
                    found[edit + way] = _seconds([*words, text, *options], env)
                file = Path(short) / "force.nix"
                file.write_text(f"{{ it = {begin}{_package(package, salt + 'force', edit)}; }}")
                found[edit + "force"] = _seconds([GG, "nix", "force", "--file", str(file), "it"], env)
            server.send_signal(signal.SIGINT)
    return found


def _package(package: str, salt: str, edit: str) -> str:
    more = f"int added_{edit.strip()}(int x); int added_{edit.strip()}(int x) {{ return x; }}" if edit else ""
    patch = f"postPatch = \"echo '{more}' >> {EDITED[package]}\";"
    return f'({package}.overrideAttrs (old: {{ salt = "{salt}"; {patch} }}))'


def _seconds(command: Sequence[str], env: dict[str, str]) -> float:
    with tempfile.TemporaryDirectory() as directory:
        begun = time.monotonic()
        done = world.run(command, env=env, cwd=Path(directory))
        assert done.returncode == 0, done.stderr
        return time.monotonic() - begun


if __name__ == "__main__":
    for package in sys.argv[1:] or ["zlib"]:
        seconds = measured(package)
        ratios = {way: round(each / seconds["plain"], 2) for way, each in seconds.items()}
        print(
            json.dumps(
                {"package": package, "seconds": {w: round(s, 1) for w, s in seconds.items()}, "over plain": ratios}
            )
        )
