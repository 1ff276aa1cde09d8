"""The small nixpkgs builds in nix's sandbox, from nothing but its own store."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.nix import world


def test_a_package_is_built_in_the_sandbox() -> None:
    (words,) = world.build("<nixpkgs>", "-A", "words")
    done = world.run(["sh", "-c", f"echo pear apple pear | {words}/bin/words"])
    assert done.stdout == "words: 2 pear\nwords: 1 apple\nwords: 5 letters in the longest\n"
    references = world.run(["nix-store", "-q", "--references", words]).stdout
    assert "-count-1\n" in references


def test_nothing_is_made_in_the_machines_own_root() -> None:
    had = Path("/nix").exists()
    world.ready()
    assert Path("/nix").exists() == had
    here = subprocess.run(
        world.entered(["sh", "-c", "ls /nix; pwd"]), cwd="/tmp", capture_output=True, text=True, check=True
    )
    assert here.stdout == "store\nvar\n/tmp\n"
