"""Keys: made, kept, trusted, and what is no key."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from gg.errors import FormatError, UsageError
from gg.share import keys as trust
from tests.cli.test_cli import run


def test_signatures(tmp_path: Path) -> None:
    key, other = trust.new(str(tmp_path), "default"), trust.new(str(tmp_path), "other")
    signature = key.sign(b"said")
    assert trust.valid(key.public.raw, signature, b"said")
    assert not trust.valid(key.public.raw, signature, b"sold")
    assert not trust.valid(other.public.raw, signature, b"said")
    assert not trust.valid(b"short", signature, b"said")
    assert trust.parse_public(str(key.public)) == key.public
    assert trust.parse_secret(key.text) == key
    assert key.text.partition(":")[2] not in repr(key)


def test_files(tmp_path: Path) -> None:
    home = str(tmp_path / "gg")
    assert (trust.own(home), trust.secrets(home), trust.trusted(home)) == (None, [], [])
    only = trust.new(home, "laptop")
    assert trust.own(home) == only
    path = Path(home) / "keys" / "laptop.secret"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(UsageError):
        trust.new(home, "laptop")
    with pytest.raises(UsageError):
        trust.new(home, "../escape")
    trust.new(home, "second")
    assert trust.own(home) is None
    assert trust.own(home, only.text) == only
    assert trust.trust(home, only.public)
    assert not trust.trust(home, only.public)
    assert trust.trusted(home) == [only.public]
    assert [key.name for key in trust.distrust(home, "laptop")] == ["laptop"]
    assert trust.distrust(home, "laptop") == []
    (Path(home) / "trusted").write_text("# a comment\n\nnonsense\n")
    with pytest.raises(FormatError, match="trusted:3"):
        trust.trusted(home)


def test_a_wrong_secret_is_not_repeated() -> None:
    with pytest.raises(UsageError) as caught:
        trust.parse_secret("name:c2VjcmV0")
    assert "c2VjcmV0" not in caught.value.what


def test_commands(tmp_path: Path) -> None:
    assert "there is no key" in run(tmp_path, "gg key show").stderr
    made = run(tmp_path, "gg key new").stdout.strip()
    assert run(tmp_path, "gg key show").stdout.strip() == made
    secret = run(tmp_path, "gg key show --secret").stdout.strip()
    other = str(trust.SecretKey("ann", os.urandom(32)).public)
    assert run(tmp_path, f"gg key trust {other}").stdout == f"trusted: {other}\n"
    assert run(tmp_path, f"gg key trust {other}").stdout == f"trusted already: {other}\n"
    assert run(tmp_path, "gg key list").stdout == f"* own      {made}\n  trusted  {other}\n"
    assert run(tmp_path, "gg key distrust ann").returncode == 0
    assert run(tmp_path, "gg key distrust ann").returncode == 64
    assert run(tmp_path, "gg key trust nonsense").returncode == 64
    elsewhere = tmp_path / "ci"
    elsewhere.mkdir()
    assert run(elsewhere, "gg key list", GG_KEY=secret).stdout == f"* own      {made}\n"
    assert run(elsewhere, "gg key list", GG_TRUSTED=other).stdout == f"  trusted  {other} (gg.toml or GG_TRUSTED)\n"
