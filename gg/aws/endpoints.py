"""What botocore has said before: endpoints, the CA bundle. To load it takes a third of a second, and to have it look for an
endpoint costs a client, a sixth of a second a service.

It holds for the same question and region as long as nothing has changed that botocore looks at: its version, the variables of
AWS in the environment but for the keys themselves, and the shared configuration files.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from functools import cache
from importlib.util import find_spec

from blake3 import blake3

from gg.core.jsontext import json_from
from gg.errors import FormatError
from gg.workspace import homes
from gg.workspace import settings as config

_MOST = 64
_NAME = "endpoints.json"
_SECRET = frozenset({"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"})


def remembered(what: str, region: str, ask: Callable[[], str]) -> str:
    """The answer, remembered or asked for; `what`: a service, whose URL it is, or something else."""
    path = os.path.join(homes.cache_home(), _NAME)
    key = _key(what, region, config.aws_variables())
    known = _read(path)
    answer = known.get(key)
    if answer is None:
        answer = ask()
        _write(path, {**dict(list(known.items())[-_MOST + 1 :]), key: answer})
    return answer


def _key(what: str, region: str, variables: Mapping[str, str]) -> str:
    heeded = sorted((name, value) for name, value in variables.items() if name not in _SECRET)
    files = [
        _stamp(variables.get("AWS_CONFIG_FILE") or "~/.aws/config"),
        _stamp(variables.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials"),
    ]
    return blake3(repr([what, region, _version(), heeded, files]).encode()).hexdigest()


@cache
def _version() -> tuple[str, int, int, int]:
    """Another version is another file; to ask for the version's name takes ten times as long."""
    found = find_spec("botocore")
    return _stamp(found.origin or "" if found else "")


def _stamp(path: str) -> tuple[str, int, int, int]:
    path = os.path.expanduser(path)
    try:
        info = os.stat(path)
    except OSError:
        return path, 0, 0, 0
    return path, info.st_ino, info.st_size, info.st_mtime_ns


def _read(path: str) -> dict[str, str]:
    """What is remembered; nothing if that is damaged, as it can be had again."""
    try:
        with open(path, "rb") as file:
            table = json_from(file.read(), "list of endpoints")
    except (OSError, FormatError):
        return {}
    if not isinstance(table, dict):
        return {}
    return {str(key): url for key, url in table.items() if isinstance(url, str)}


def _write(path: str, table: Mapping[str, str]) -> None:
    """Best effort: a home that cannot be written to costs time, no more."""
    aside = f"{path}.{os.getpid()}"
    try:
        homes.make_closed(os.path.dirname(path))
        with open(aside, "w", encoding="utf-8") as file:
            json.dump(table, file)
        os.replace(aside, path)
    except OSError:
        return
