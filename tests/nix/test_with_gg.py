"""withGg: a package's build phase under gg in nix's sandbox, as nobody in particular, without home, locale, /usr or network."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.nix import world


def _built(package: str, expression: str) -> Path:
    overlay = f"import {world.checkout()}/nix/overlay.nix"
    text = f"with import <nixpkgs> {{ overlays = [ ({overlay}) ]; }}; {expression.format(package)}"
    (path,) = world.build("-E", text, "--option", "sandbox", "true")
    return world.home() / path[1:]


def _files(top: Path) -> dict[str, bytes]:
    """What is there, its own store path taken out: two derivations have two, of one length."""
    own = top.name[:32].encode()
    found = {}
    for path in sorted(top.rglob("*")):
        if path.is_symlink():
            found[str(path.relative_to(top))] = str(path.readlink()).encode()
        elif path.is_file():
            found[str(path.relative_to(top))] = path.read_bytes().replace(own, b"own")
    return found


def _same(package: str) -> None:
    # A build id is a digest of all bytes, the own path among them.
    without_id = '({}.overrideAttrs (old: {{ NIX_CFLAGS_LINK = "-Wl,--build-id=none"; }}))'
    plain, by_gg = _built(package, without_id), _built(package, f"withGg {without_id}")
    assert plain != by_gg
    assert _files(plain) == _files(by_gg)
    assert any(data.startswith(b"\x7fELF") for data in _files(plain).values())


def test_a_small_package() -> None:
    _same("words")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("package", ["zlib", "hello", "mosh"])
def test_packages(package: str) -> None:
    world.source(package)
    _same(package)
