"""Which workers there are: how hosts are named, where keys are kept, and what a file that travels may say."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gg.engines.remote.hosts import PORT, host_name, known_hosts, parse_host
from gg.errors import StoreError, UsageError
from gg.wire.pin import WorkerKey
from gg.worker.identity import load_identity
from gg.workspace import settings as config

KEY = WorkerKey(bytes(range(32)), b"t" * 16)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("desk1", ("desk1", PORT, "")),
        ("desk1:70", ("desk1", 70, "")),
        ("desk1:70/KEY", ("desk1", 70, "KEY")),
        ("desk1/KEY", ("desk1", PORT, "KEY")),
        ("10.0.0.1:7", ("10.0.0.1", 7, "")),
        ("[::1]:7/K", ("::1", 7, "K")),
        ("[::1]", ("::1", PORT, "")),
        ("fe80::1", ("fe80::1", PORT, "")),
    ],
)
def test_a_host(text: str, place: tuple[str, int, str]) -> None:
    assert parse_host(text) == place
    assert parse_host(host_name(*place[:2]))[:2] == place[:2]


@pytest.mark.parametrize("text", ["", ":70", "desk1:x", "desk1:0", "desk1:70000", "/KEY"])
def test_no_host(text: str) -> None:
    with pytest.raises(UsageError):
        parse_host(text)


def test_a_key_is_given_once(tmp_path: Path) -> None:
    home = str(tmp_path / "conf")
    (host,) = known_hosts([f"desk1:70/{KEY.text}"], home)
    assert (host.address, host.port, host.key) == ("desk1", 70, KEY)
    assert os.stat(tmp_path / "conf" / "workers").st_mode & 0o777 == 0o600
    assert known_hosts(["desk1:70", "desk1:70"], home) == [host]
    other = KEY._replace(token=b"u" * 16)
    assert known_hosts([f"desk1:70/{other.text}"], home)[0].key == other
    assert known_hosts(["desk1:70"], home)[0].key == other


def test_a_host_without_a_key(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no key for the worker on desk2"):
        known_hosts(["desk2"], str(tmp_path))


@pytest.mark.parametrize("key", ["x", "é", KEY.text[:-4], KEY.text + "AAAA", "*" * 64])
def test_a_damaged_key(tmp_path: Path, key: str) -> None:
    with pytest.raises(UsageError, match="key is damaged"):
        known_hosts([f"desk/{key}"], str(tmp_path))


def test_a_damaged_file(tmp_path: Path) -> None:
    (tmp_path / "workers").write_text("nonsense\n")
    with pytest.raises(StoreError, match="workers is damaged"):
        known_hosts(["desk"], str(tmp_path))


def test_a_key_is_not_shown() -> None:
    assert KEY.text not in repr(KEY)
    assert "tttt" not in repr(KEY)


def test_an_identity_stays_until_it_is_renewed(tmp_path: Path) -> None:
    directory = str(tmp_path / "worker")
    first = load_identity(directory)
    assert load_identity(directory).key == first.key
    assert os.stat(directory).st_mode & 0o777 == 0o700
    assert all(entry.stat().st_mode & 0o77 == 0 for entry in os.scandir(directory))
    second = load_identity(directory, renew=True)
    assert second.key.token != first.key.token
    assert second.key.fingerprint != first.key.fingerprint


@pytest.mark.parametrize(
    ("line", "engines", "workers"),
    [
        ("remote=a,b", ("remote",), ("a", "b")),
        ("remote=a,b:7,local", ("remote", "local"), ("a", "b:7")),
        ("local,remote=a", ("local", "remote"), ("a",)),
        ("remote=a,remote=b", ("remote",), ("a", "b")),
        ("remote", ("remote",), ("there",)),
    ],
)
def test_hosts_among_engines(
    monkeypatch: pytest.MonkeyPatch, line: str, engines: tuple[str, ...], workers: tuple[str, ...]
) -> None:
    monkeypatch.setenv("GG_WORKERS", "there")
    settings = config.load(None, engine=line)
    assert settings.engine == engines
    assert settings.workers == workers


@pytest.mark.parametrize("line", ["remote=", "locla", "local=a", "a,remote=b"])
def test_wrong_engines(line: str) -> None:
    with pytest.raises(UsageError):
        config.load(None, engine=line)


@pytest.mark.parametrize("text", ['workers = ["a/KEY"]', 'engine = "remote=a/KEY"', 'workers = "b,a/KEY"'])
def test_a_file_that_travels_has_no_keys(tmp_path: Path, text: str) -> None:
    """Who clones a tree is not made to send his sources where its files say: he needs a key of his own for each host."""
    (tmp_path / "gg.toml").write_text(text + "\n")
    with pytest.raises(UsageError, match="key does not belong"):
        config.load(str(tmp_path))
    (tmp_path / "gg.toml").write_text(text.replace("/KEY", "") + "\n")
    config.load(str(tmp_path))
