"""The machines that are workers, and the keys to them.

A user names a host as `NAME` or `NAME:PORT`, or with its key as `NAME:PORT/KEY`, which is what `gg worker --listen` prints. A key
that was given once is kept in the user's own directory of settings, in a file that only he can read. So a file that travels with
a tree can list hosts, and gg uses only the hosts whose key this user was given.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NamedTuple

from gg.errors import StoreError, UsageError
from gg.wire.pin import WorkerKey
from gg.workspace.homes import make_closed, need_closed

PORT = 7177
_FILE = "workers"


class Host(NamedTuple):
    """Where a worker listens, and its key."""

    address: str
    port: int
    key: WorkerKey

    def __str__(self) -> str:
        return host_name(self.address, self.port)


def host_name(address: str, port: int) -> str:
    """A host's name for people: without the port if it is the usual one."""
    shown = f"[{address}]" if ":" in address else address
    return shown if port == PORT else f"{shown}:{port}"


def parse_host(text: str, least: int = 1) -> tuple[str, int, str]:
    """Address, port (`least` at least), and key's text, empty if there is none. UsageError."""
    place, _, key = text.partition("/")
    if place.startswith("["):  # an address of version 6
        address, _, rest = place[1:].partition("]")
        port = rest.removeprefix(":")
    elif place.count(":") > 1:
        address, port = place, ""
    else:
        address, _, port = place.partition(":")
    if not address or (
        port and not (port.isascii() and port.isdigit() and len(port) < 6 and least <= int(port) < 65536)
    ):
        raise UsageError(f"{place!r} is no host", hint="NAME, NAME:PORT, or the line that gg worker --listen prints")
    return address, int(port) if port else PORT, key


def known_hosts(texts: Iterable[str], home: str) -> list[Host]:
    """The hosts that `texts` name, each with its key. Keeps the keys that are given in `home`. UsageError, StoreError."""
    remembered = _read(home)
    given: dict[str, WorkerKey] = {}
    named: dict[str, tuple[str, int]] = {}
    for text in texts:
        address, port, key = parse_host(text)
        name = f"{address} {port}"
        named[name] = (address, port)
        if key:
            given[name] = WorkerKey.parse(key)
    if any(remembered.get(name) != key for name, key in given.items()):
        _write(home, {**remembered, **given})
    keys = {**remembered, **given}
    for name, place in named.items():
        if name not in keys:
            raise UsageError(
                f"there is no key for the worker on {host_name(*place)}",
                hint="run there: gg worker --listen; and paste the line that it prints",
            )
    return [Host(*place, keys[name]) for name, place in named.items()]


def _read(home: str) -> dict[str, WorkerKey]:
    path = os.path.join(home, _FILE)
    need_closed(path)
    try:
        with open(path, encoding="utf-8") as file:
            lines = [line.split() for line in file if line.strip() and not line.startswith("#")]
    except (FileNotFoundError, NotADirectoryError):  # a home may be /dev/null
        return {}
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: {error}", hint="see to the file, or remove it") from error
    if any(len(words) != 3 for words in lines):
        raise StoreError(f"{path} is damaged", hint="it has lines of address, port and key; mend it, or remove it")
    return {f"{address} {port}": WorkerKey.parse(key) for address, port, key in lines}


def _write(home: str, keys: dict[str, WorkerKey]) -> None:
    path = os.path.join(home, _FILE)
    aside = f"{path}.{os.getpid()}"
    try:
        make_closed(home)
        fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(fd, "w", encoding="utf-8") as file:
            file.write("# the workers whose key was given: address, port, key; keep this to yourself\n")
            file.writelines(f"{name} {key.text}\n" for name, key in sorted(keys.items()))
        os.replace(aside, path)
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}", hint="see to the directory") from error
