"""The NixOS module: the units that it makes are such as systemd takes, and gg takes their command lines."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from gg.cli import nix, worker
from tests.nix import world

WORKER = 'worker = { enable = true; jobs = 4; memory = "8G"; cache = "50G"; };'
STORE = "store.enable = true;"
_GG = "/nix/store/gg/bin/gg"


def _evaluated(settings: str) -> dict[str, Any]:
    text = f"import {world.HERE}/module.nix {{ module = {world.ROOT}/nix/module.nix; settings = {{ {settings} }}; }}"
    done = world.run(["nix-instantiate", "--eval", "--strict", "--json", "-E", text])
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def _started(unit: str) -> list[str]:
    """The words after gg in a unit's command line."""
    (start,) = [line for line in unit.splitlines() if line.startswith("ExecStart=")]
    gg, *words = start.removeprefix("ExecStart=").split()
    assert gg == _GG
    return words


def _takes(command: click.Command, words: list[str]) -> bool:
    return CliRunner().invoke(command, [*words, "--help"]).exit_code == 0


def test_nothing_is_made_unless_it_is_asked_for() -> None:
    assert _evaluated("") == {"nix": {}, "worker": "", "store": ""}


def test_the_hook_is_nixs_build_hook() -> None:
    assert _evaluated("buildHook.enable = true;")["nix"] == {"build-hook": "/nix/store/gg/bin/gg-nix-hook"}


def test_gg_takes_the_command_lines() -> None:
    made = _evaluated(WORKER + STORE)
    first, *words = _started(made["worker"])
    assert (first, words[:2]) == ("worker", ["--listen", "7177"])
    assert _takes(worker.command, words)
    first, *words = _started(made["store"])
    assert first == "nix"
    assert _takes(nix.command, words)


def test_builders_are_shown_the_store() -> None:
    made = _evaluated(STORE + 'store.group = "builders";')
    assert made["nix"] == {"extra-sandbox-paths": [f"{_started(made['store'])[-1]}?"]}
    assert "Group=builders" in made["store"].splitlines()


@pytest.mark.parametrize(("name", "settings"), [("worker", WORKER), ("store", STORE)])
def test_systemd_takes_a_unit_and_finds_it_safe(name: str, settings: str, tmp_path: Path) -> None:
    unit = _evaluated(settings)[name]
    file = tmp_path / f"gg-{name}.service"
    file.write_text(unit.replace(_GG, "/usr/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", str(file)], capture_output=True, text=True, check=False)
    assert f"gg-{name}" not in done.stdout + done.stderr, "it says nothing of what it knows"
    words = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(file)]
    told = subprocess.run(words, capture_output=True, text=True, check=False).stdout
    (exposure,) = re.findall(r"Overall exposure level for \S+: ([\d.]+)", told)
    assert float(exposure) < 4.0, told
