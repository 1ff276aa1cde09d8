"""The NixOS module: the units that it makes are such as systemd takes, and the worker takes the command line."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from click.testing import CliRunner

from gg.cli.worker import command
from tests.nix import world


def _evaluated(settings: str) -> dict[str, str]:
    text = f"import {world.HERE}/module.nix {{ module = {world.ROOT}/nix/module.nix; settings = {settings}; }}"
    done = world.run(["nix-instantiate", "--eval", "--strict", "--json", "-E", text])
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def test_nothing_is_made_unless_it_is_asked_for() -> None:
    assert _evaluated("{ }") == {"build-hook": "", "unit": ""}


def test_the_hook_is_nixs_build_hook() -> None:
    assert _evaluated("{ buildHook.enable = true; }")["build-hook"] == "/nix/store/gg/bin/gg-nix-hook"


def test_systemd_takes_the_workers_unit(tmp_path: Path) -> None:
    unit = _evaluated('{ worker = { enable = true; jobs = 4; memory = "8G"; cache = "50G"; }; }')["unit"]
    (start,) = [line for line in unit.splitlines() if line.startswith("ExecStart=")]
    words = start.removeprefix("ExecStart=").split()
    assert words[:4] == ["/nix/store/gg/bin/gg", "worker", "--listen", "7177"]
    assert CliRunner().invoke(command, [*words[2:], "--help"]).exit_code == 0
    file = tmp_path / "gg-worker.service"
    file.write_text(unit.replace("/nix/store/gg/bin/gg", "/usr/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", str(file)], capture_output=True, text=True, check=False)
    assert "gg-worker" not in done.stdout + done.stderr, "it says nothing of what it knows"
