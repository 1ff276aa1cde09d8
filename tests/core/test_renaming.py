"""The workspace's path in arguments and texts: where it begins one, as a whole, and nowhere else."""

from __future__ import annotations

import pytest

from gg.core.renaming import Renaming

NAMES = Renaming(b"/home/ann/tree", b"/src/it", [b"/src/it", b"/old"], [b"/link"])

ARGUMENTS = {
    b"/home/ann/tree": b"/src/it",
    b"/home/ann/tree/x.c": b"/src/it/x.c",
    b"-I/home/ann/tree/include": b"-I/src/it/include",
    b"-isystem/home/ann/tree": b"-isystem/src/it",
    b"--sysroot=/home/ann/tree": b"--sysroot=/src/it",
    b"-Wl,-L/home/ann/tree/lib,-Map,/home/ann/tree/m": b"-Wl,-L/src/it/lib,-Map,/src/it/m",
    b"-fdebug-prefix-map=/home/ann/tree=.": b"-fdebug-prefix-map=/src/it=.",
    b"/home/ann/tree:/home/ann/tree/lib:/usr/lib": b"/src/it:/src/it/lib:/usr/lib",
    b'-DX="/home/ann/tree/data"': b'-DX="/src/it/data"',
    b"@/home/ann/tree/rsp": b"@/src/it/rsp",
    b"/link/x.c": b"/src/it/x.c",
    b"in /home/ann/tree.": b"in /src/it.",
    # not these
    b"/home/ann/tree2/x.c": b"/home/ann/tree2/x.c",
    b"/home/ann/tree-old": b"/home/ann/tree-old",
    b"/home/ann/tree.old/x": b"/home/ann/tree.old/x",
    b"/mnt/home/ann/tree": b"/mnt/home/ann/tree",
    b"sub/home/ann/tree": b"sub/home/ann/tree",
    b"sub\xc3\xa9/home/ann/tree": b"sub\xc3\xa9/home/ann/tree",
    b"/home/ann": b"/home/ann",
    b"x/link": b"x/link",
}


@pytest.mark.parametrize("word", ARGUMENTS)
def test_an_argument(word: bytes) -> None:
    assert NAMES.thunk_text(word) == ARGUMENTS[word]


def test_a_text_of_lines() -> None:
    text = b"a.o: /src/it/a.c \\\n /src/it/b.h\n/old/b.h:\n/src/item: /x/src/it\n"
    assert NAMES.real_text(text) == (
        b"a.o: /home/ann/tree/a.c \\\n /home/ann/tree/b.h\n/home/ann/tree/b.h:\n/src/item: /x/src/it\n"
    )


def test_paths() -> None:
    assert NAMES.thunk_path(b"/home/ann/tree") == b"/src/it"
    assert NAMES.thunk_path(b"/home/ann/trees/x") == b"/home/ann/trees/x"
    assert NAMES.real_path(b"/old/x") == b"/home/ann/tree/x"
    assert NAMES.renames(b"/src/it/x")
    assert not NAMES.renames(b"/src/its")


def test_nothing_is_renamed_on_the_way_in_by_a_session_without_a_name() -> None:
    names = Renaming(b"/home/ann/tree", None, [b"/old"])
    assert names.thunk_path(b"/home/ann/tree/x") == b"/home/ann/tree/x"
    assert names.real_path(b"/old/x") == b"/home/ann/tree/x"


def test_what_was_printed_in_colour() -> None:
    here = Renaming(b"/home/ann/work", b"/fixed").real_text
    assert here(b"\x1b[01m\x1b[K/fixed/a.c:1:\x1b[m\x1b[K no") == b"\x1b[01m\x1b[K/home/ann/work/a.c:1:\x1b[m\x1b[K no"
    assert here(b"K/fixed/a.c") == b"K/fixed/a.c"
