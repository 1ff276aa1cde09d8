"""withGg: a package's build phase under gg in nix's sandbox, as nobody in particular, without home, locale, /usr or network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from gg.share.socket_store import SocketStore
from gg.store.base import Kind
from tests.nix import world

GG = f"{sysconfig.get_path('scripts')}/gg"


def _built(package: str, expression: str) -> Path:
    overlay = f"import {world.checkout()}/nix/overlay.nix"
    text = f"with import <nixpkgs> {{ overlays = [ ({overlay}) ]; }}; {expression.format(package)}"
    (path,) = world.build("-E", text, "--option", "sandbox", "true")
    return world.home() / path[1:]


def _files(top: Path) -> dict[str, bytes]:
    """What is there, links by where they point."""
    found = {}
    for path in sorted(top.rglob("*")):
        if path.is_symlink():
            found[str(path.relative_to(top))] = str(path.readlink()).encode()
        elif path.is_file():
            found[str(path.relative_to(top))] = path.read_bytes()
    return found


def _alike(one: bytes, other: bytes, names: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    """Two files of two derivations, with what tells their store paths of these names apart replaced where both have it: a hash, or
    the last of it where the rest is elsewhere, for GCC copies long strings by pieces of 16 bytes.
    """
    texts = bytearray(one), bytearray(other)
    for n in (32, *range(11, 0, -1)):
        mine, others = (name[32 - n :][: max(n, 16)] for name in names)
        at = texts[0].find(mine)
        while at >= 0:
            if texts[1].startswith(others, at):
                for text in texts:
                    text[at : at + n] = b"?" * n
            at = texts[0].find(mine, at + 1)
    return bytes(texts[0]), bytes(texts[1])


def _same(package: str) -> None:
    # A build id is a digest of all bytes, the own path among them.
    without_id = '({}.overrideAttrs (old: {{ NIX_CFLAGS_LINK = "-Wl,--build-id=none"; }}))'
    plain, by_gg = _built(package, without_id), _built(package, f"withGg {without_id}")
    assert plain != by_gg
    files, others = _files(plain), _files(by_gg)
    assert list(files) == list(others)
    names = plain.name.encode(), by_gg.name.encode()
    for name, data in files.items():
        one, other = _alike(data, others[name], names)
        assert one == other, name
    assert any(data.startswith(b"\x7fELF") for data in files.values())


def test_what_tells_two_store_paths_apart() -> None:
    """It is replaced where both files have it, also where a letter before a piece is one that a hash ends with. Nothing else is."""
    names = b"%sln-hello-2.10" % (b"1" * 30), b"%sfc-hello-2.10" % (b"2" * 30)

    def program(name: bytes, more: bytes) -> bytes:
        return b"/nix/store/%s/lib\0/nix/store/%s%s/lib\0%s" % (name, name[:37], name[31:], more)

    for more, same in ((b"", True), (b"x", False), (b"ln-hello-2.10", False)):
        one, other = _alike(program(names[0], more), program(names[1], b"y" * len(more)), names)
        assert (one == other) == same


def test_a_small_package() -> None:
    _same("words")


@pytest.fixture
def socket(tmp_path: Path) -> Iterator[Path]:
    """A store that is served, which nix shows builders."""
    with tempfile.TemporaryDirectory() as short:
        path = Path(short) / "store"
        command = [GG, "nix", "store", "--state", str(tmp_path / "kept"), str(path)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
            assert server.stderr is not None
            try:
                assert str(path) in server.stderr.readline()
                yield path
            finally:
                server.terminate()


def test_an_edited_package_runs_what_the_edit_needs(socket: Path, tmp_path: Path) -> None:
    """Built in two sandboxes, by two derivations; the second takes from the store's socket what the edit leaves alone."""
    source = tmp_path / "words"
    shutil.copytree(world.MINI / "words", source)
    salt = uuid.uuid4().hex  # what no run before has built
    package = f'(words.overrideAttrs (old: {{ src = {source}; salt = "{salt}"; }}))'
    by_gg = f'withGg {{ store = "{socket}"; }} {package}'
    shown = ("--option", "extra-sandbox-paths", str(socket))
    _build(by_gg, *shown)
    assert _ran(socket) == 4
    (source / "order.c").write_text((source / "order.c").read_text().replace("? 1 : -1", "? 2 : -2"))
    _build(by_gg, *shown)
    assert _ran(socket) == 4 + 2


def test_structured_attributes(socket: Path) -> None:
    """They are no variables of the environment, and neither are withGg's."""
    package = f'(words.overrideAttrs (old: {{ __structuredAttrs = true; salt = "{uuid.uuid4().hex}"; }}))'
    _build(f'withGg {{ store = "{socket}"; }} {package}', "--option", "extra-sandbox-paths", str(socket))
    assert _ran(socket) == 4


@world.AS_ROOT
def test_where_nix_builds_as_users_of_its_own(socket: Path) -> None:
    """None of them can read what another has made; through the socket they share it. The link has its own run path each time."""
    package = f'(words.overrideAttrs (old: {{ salt = "{uuid.uuid4().hex}"; }}))'
    shown = ("--option", "extra-sandbox-paths", str(socket))
    socket.parent.chmod(0o755)
    os.chown(socket, -1, world.BUILD_GROUP)
    socket.chmod(0o660)
    for number, ran in (("1", 4), ("2", 4 + 1)):
        by_gg = f'withGg {{ store = "{socket}"; }} ({package}.overrideAttrs (old: {{ again = "{number}"; }}))'
        _build(by_gg, *shown, by=[str(world.BUILD_USERS)])
        assert _ran(socket) == ran


def _ran(socket: Path) -> int:
    """Commands that have run, and not been answered by another's result: what they were is kept with that."""
    store = SocketStore(str(socket))
    try:
        return len(list(store.keys(Kind.THUNK)))
    finally:
        store.close()


def _build(expression: str, *options: str, by: Sequence[str] = ()) -> None:
    overlay = f"import {world.checkout()}/nix/overlay.nix"
    text = f"with import <nixpkgs> {{ overlays = [ ({overlay}) ]; }}; {expression}"
    world.build("-E", text, "--option", "sandbox", "true", *options, by=by)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("package", ["zlib", "hello", "mosh"])
def test_packages(package: str) -> None:
    world.source(package)
    _same(package)
