"""Errors name what a user has written, and go to logs that many read: without the secrets in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gg.engines.reapi.cluster import cluster_of
from gg.errors import GGError, UsageError
from gg.wire.frames import TOKEN_SIZE
from gg.wire.pin import WorkerKey
from gg.workspace.settings import Settings, load

KEY = WorkerKey(bytes(range(200, 232)), bytes(range(240, 240 + TOKEN_SIZE))).text
SHOWN = [
    ("s3://AKIA:a/b+c@bucket/prefix", "s3://…@bucket/prefix"),
    ("https://token@host/path", "https://…@host/path"),
    ("https://me:pa:ss@proxy:3128", "https://…@proxy:3128"),
    (f"remote=one,two:7/{KEY},three", "remote=one,two:7/…,three"),
    (f"'host/{KEY}'", "'host/…'"),
]
KEPT = [
    "https://host/a@b",
    "/store/blobs/ab/" + "0123456789abcdef" * 4,
    "/home/me/" + "a-long_name" * 9,
    "me@host",
    "s3://bucket/prefix?region=eu-west-1",
]


@pytest.mark.parametrize(("text", "shown"), [*SHOWN, *zip(KEPT, KEPT, strict=True)])
def test_what_is_shown(text: str, shown: str) -> None:
    error = GGError(f"{text} is wrong")
    assert error.what == str(error) == f"{shown} is wrong"


@pytest.mark.parametrize(
    "settings",
    [
        Settings(reapi="grpcs://me:secret@host"),
        Settings(reapi="grpcs://host", reapi_headers=("Bearer secret",)),
    ],
)
def test_a_clusters(settings: Settings) -> None:
    with pytest.raises(UsageError) as caught:
        cluster_of(settings)
    assert "secret" not in caught.value.what + caught.value.hint


@pytest.mark.parametrize("text", ['reapi_headers = {authorization = "Bearer secret"}', 'reapi_headers = [["secret"]]'])
def test_of_a_file(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "gg").mkdir()
    (tmp_path / "gg" / "gg.toml").write_text(f"{text}\n")
    with pytest.raises(UsageError, match="reapi_headers cannot be that") as caught:
        load(None)
    assert "secret" not in caught.value.what + caught.value.hint
