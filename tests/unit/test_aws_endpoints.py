"""Remembered endpoints: the same answer as botocore's, asked for again when anything changes that it depends on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gg.aws.endpoints import endpoint_url
from gg.aws.session import Session


class Asked:
    """Counts."""

    def __init__(self, url: str = "https://lambda.eu-west-1.amazonaws.com") -> None:
        self.url = url
        self.times = 0

    def __call__(self) -> str:
        self.times += 1
        return self.url


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def test_asked_once(home: Path) -> None:
    ask = Asked()
    assert [endpoint_url("lambda", "eu-west-1", ask) for _ in range(3)] == [ask.url] * 3
    assert ask.times == 1
    endpoint_url("s3", "eu-west-1", ask)
    endpoint_url("lambda", "eu-west-2", ask)
    assert ask.times == 3


def test_asked_again_when_something_changes(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = Asked()
    endpoint_url("lambda", "eu-west-1", ask)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    endpoint_url("lambda", "eu-west-1", ask)
    assert ask.times == 2
    (home / ".aws").mkdir()
    (home / ".aws" / "config").write_text("[default]\nendpoint_url = http://127.0.0.1:2\n")
    endpoint_url("lambda", "eu-west-1", ask)
    assert ask.times == 3
    monkeypatch.setenv("AWS_PROFILE", "other")
    endpoint_url("lambda", "eu-west-1", ask)
    assert ask.times == 4
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "changes every hour")
    endpoint_url("lambda", "eu-west-1", ask)
    assert ask.times == 4


@pytest.mark.parametrize("found", ["", "{", "[]", '{"a": 1}'])
def test_a_damaged_memory_is_made_again(found: str, home: Path) -> None:
    (home / "cache" / "gg").mkdir(parents=True)
    (home / "cache" / "gg" / "endpoints.json").write_text(found)
    ask = Asked()
    assert [endpoint_url("lambda", "eu-west-1", ask) for _ in range(2)] == [ask.url] * 2
    assert ask.times == 1


def test_a_home_that_cannot_be_written_to(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "file"))
    ask = Asked()
    assert [endpoint_url("lambda", "eu-west-1", ask) for _ in range(2)] == [ask.url] * 2


def test_few_are_kept(home: Path) -> None:
    ask = Asked()
    for number in range(100):
        endpoint_url("lambda", f"eu-west-{number}", ask)
    assert (home / "cache" / "gg" / "endpoints.json").read_text().count(ask.url) == 64


def test_a_session_takes_what_botocore_has_found(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Session("eu-west-1").endpoint("lambda")
    assert (first.host, first.port) == ("lambda.eu-west-1.amazonaws.com", 443)

    def no_client(*args: object, **options: object) -> None:
        raise AssertionError("a client is made")

    monkeypatch.setattr("botocore.session.Session.create_client", no_client)
    again = Session("eu-west-1").endpoint("lambda")
    assert (again.host, again.port) == (first.host, first.port)
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", "http://127.0.0.1:9")
    with pytest.raises(AssertionError, match="a client is made"):
        Session("eu-west-1").endpoint("lambda")
