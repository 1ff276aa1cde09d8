"""Remembered endpoints: the same answer as botocore's, asked for again when anything changes that it depends on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gg.aws import environment
from gg.aws.endpoints import remembered
from gg.aws.setup import AwsSession


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
    assert [remembered("lambda", "eu-west-1", ask) for _ in range(3)] == [ask.url] * 3
    assert ask.times == 1
    remembered("s3", "eu-west-1", ask)
    remembered("lambda", "eu-west-2", ask)
    assert ask.times == 3


def test_asked_again_when_something_changes(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = Asked()
    remembered("lambda", "eu-west-1", ask)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    remembered("lambda", "eu-west-1", ask)
    assert ask.times == 2
    (home / ".aws").mkdir()
    (home / ".aws" / "config").write_text("[default]\nendpoint_url = http://127.0.0.1:2\n")
    remembered("lambda", "eu-west-1", ask)
    assert ask.times == 3
    monkeypatch.setenv("AWS_PROFILE", "other")
    remembered("lambda", "eu-west-1", ask)
    assert ask.times == 4
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "changes every hour")
    remembered("lambda", "eu-west-1", ask)
    assert ask.times == 4


@pytest.mark.parametrize("found", ["", "{", "[]", '{"a": 1}'])
def test_a_damaged_memory_is_made_again(found: str, home: Path) -> None:
    (home / "cache" / "gg").mkdir(parents=True)
    (home / "cache" / "gg" / "endpoints.json").write_text(found)
    ask = Asked()
    assert [remembered("lambda", "eu-west-1", ask) for _ in range(2)] == [ask.url] * 2
    assert ask.times == 1


def test_a_home_that_cannot_be_written_to(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "file"))
    ask = Asked()
    assert [remembered("lambda", "eu-west-1", ask) for _ in range(2)] == [ask.url] * 2


def test_few_are_kept(home: Path) -> None:
    ask = Asked()
    for number in range(100):
        remembered("lambda", f"eu-west-{number}", ask)
    assert (home / "cache" / "gg" / "endpoints.json").read_text().count(ask.url) == 64


def test_a_session_takes_what_botocore_has_found(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = AwsSession("eu-west-1").endpoint("lambda")
    assert (first.host, first.port) == ("lambda.eu-west-1.amazonaws.com", 443)

    def no_client(*args: object, **options: object) -> None:
        raise AssertionError("a client is made")

    monkeypatch.setattr("botocore.session.Session.create_client", no_client)
    again = AwsSession("eu-west-1").endpoint("lambda")
    assert (again.host, again.port) == (first.host, first.port)
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", "http://127.0.0.1:9")
    with pytest.raises(AssertionError, match="a client is made"):
        AwsSession("eu-west-1").endpoint("lambda")


@pytest.mark.parametrize(
    "variables",
    [
        {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "s"},
        {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t"},
        {
            "AWS_ACCESS_KEY_ID": "AKID",
            "AWS_SECRET_ACCESS_KEY": "s",
            "AWS_SECURITY_TOKEN": "u",
            "AWS_SESSION_TOKEN": "t",
        },
        {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SECURITY_TOKEN": ""},
        {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "s", "AWS_PROFILE": "other"},
        {},
    ],
)
def test_keys_in_the_environment_are_what_botocore_takes(
    variables: dict[str, str], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And if they are not all there is, botocore is asked: the files have keys of a profile."""
    from botocore.session import get_session

    (home / ".aws").mkdir()
    profile = "aws_access_key_id = FILE\naws_secret_access_key = f\n"
    (home / ".aws" / "credentials").write_text(f"[default]\n{profile}[other]\n{profile}")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    theirs = get_session().get_credentials()
    assert theirs is not None
    ours = AwsSession("eu-west-1").renew()
    assert (ours.access_key, ours.secret_key, ours.token) == (theirs.access_key, theirs.secret_key, theirs.token or "")


@pytest.mark.parametrize("variables", [{"AWS_ACCESS_KEY_ID": "AKID"}, {"AWS_SECRET_ACCESS_KEY": "s"}])
def test_half_a_key_is_no_key(variables: dict[str, str], home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert environment.credentials() is None


def test_nothing_of_botocore_is_loaded_when_it_has_nothing_to_tell(home: Path) -> None:
    """Keys in the environment, and the endpoint was found before: for the first thunk nobody waits a third of a second."""
    code = (
        "import sys; from gg.aws.setup import AwsSession; s = AwsSession('eu-west-1'); s.renew(); s.endpoint('lambda');"
        "s.s3_addressing(); print(*sorted({m.partition('.')[0] for m in sys.modules} & {'botocore', 'boto3', 'urllib3'}))"
    )
    variables = {**os.environ, "AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "s"}
    said = [
        subprocess.run([sys.executable, "-c", code], env=variables, check=True, capture_output=True, text=True).stdout
        for _ in range(2)
    ]
    assert [each.split() for each in said] == [["botocore", "urllib3"], []]
