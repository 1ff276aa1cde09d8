"""The files that the C library opens for a locale."""

from __future__ import annotations

import pytest

from gg.models.toolchain import converters, locale_files
from tests.models.binutils_probe import FakeProbe

L, M = "/usr/lib/locale", "/usr/share/locale"
TREE = (
    f"{L}/C.utf8/LC_CTYPE {L}/C.utf8/LC_MESSAGES/SYS_LC_MESSAGES {L}/locale-archive {M}/locale.alias "
    f"{M}/de/LC_MESSAGES/gcc-12.mo {M}/de/LC_MESSAGES/bfd.mo {M}/de/LC_MESSAGES/tar.mo {M}/fr/LC_MESSAGES/ld.mo"
).split()


class Listing(FakeProbe):
    """A probe that lists directories."""

    def list_directory(self, path: bytes) -> tuple[bytes, ...]:
        return tuple(sorted(name.rpartition(b"/")[2] for name in self.files if name.rpartition(b"/")[0] == path))


def found(**env: str) -> list[str]:
    probe = Listing({path.encode(): b"" for path in TREE})
    encoded = {name.encode(): value.encode() for name, value in env.items()}
    return [path.decode() for path in locale_files(probe, encoded, b"/usr/bin/gcc")]


@pytest.mark.parametrize("env", [{}, {"LANG": "C"}, {"LC_ALL": "POSIX", "LANG": ""}, {"LANGUAGE": "de"}])
def test_nothing_in_c(env: dict[str, str]) -> None:
    assert found(**env) == []


def test_a_locale_with_a_directory_of_its_own() -> None:
    own = [f"{L}/C.utf8/LC_CTYPE", f"{L}/C.utf8/LC_MESSAGES/SYS_LC_MESSAGES", f"{M}/locale.alias"]
    assert found(LC_ALL="C.UTF-8") == own


def test_a_locale_in_the_archive_with_catalogs() -> None:
    archive = [f"{L}/locale-archive", f"{M}/locale.alias"]
    german = [f"{M}/de/LC_MESSAGES/bfd.mo", f"{M}/de/LC_MESSAGES/gcc-12.mo"]
    assert found(LANG="de_DE.UTF-8") == archive + german
    assert found(LANG="de_DE@euro", LANGUAGE="fr") == [*archive, f"{M}/fr/LC_MESSAGES/ld.mo", *german]


def test_no_converters_without_a_loader() -> None:
    assert converters(Listing({b"/usr/bin/gcc": b"#!/bin/sh\n"}), b"/usr/bin/gcc") == ()
