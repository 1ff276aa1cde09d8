"""What a terminal is shown of text that somebody else wrote: colours, and nothing that it would obey otherwise."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gg.observe.build_events import Diagnostics, ThunkFailed
from gg.observe.plain import Plain
from gg.observe.quiet import Quiet
from gg.observe.sink import TextOutput
from gg.observe.visible import visible

COLOURED = b"\x1b[01m\x1b[Kx.c:1:\x1b[m\x1b[K \x1b[01;31m\x1b[Kerror: \x1b[m\x1b[K\xe2\x80\x98y\xe2\x80\x99\r\n\tint\n"
LINKED = b"[\x1b[01;35m\x1b[K\x1b]8;;https://gcc.gnu.org/onlinedocs/gcc/x.html\x07-Wall\x1b]8;;\x07\x1b[m\x1b[K]\n"


@pytest.mark.parametrize(
    "words", [b"", b"plain\n", COLOURED, LINKED, LINKED.replace(b"\x07", b"\x1b\\"), "größer, 編\n".encode()]
)
def test_what_compilers_print_passes(words: bytes) -> None:
    assert visible(words) == words


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (b"\x1b]0;title\x07", b"^[]0;title^G"),
        (b"\x1b]52;c;cm0gLXJm\x07", b"^[]52;c;cm0gLXJm^G"),
        (b"\x1b[2J\x1b[H\x1b[6n\x1b[?1049h", b"^[[2J^[[H^[[6n^[[?1049h"),
        (b"\x1bP+q544e\x1b\\\x1bc\x1b(0", b"^[P+q544e^[\\^[c^[(0"),
        (b"\x1b]8;;https://evil.example/\x07here\x1b]8;;\x07", b"^[]8;;https://evil.example/^Ghere\x1b]8;;\x07"),
        (b"\x9b2J \xc2\x9b2J \xc2\x85", b"M-^[2J M-^[2J M-^E"),
        (b"honest\rhidden\x08\x7f\0\x0b", b"honest^Mhidden^H^?^@^K"),
        (b"\x1b[1;31mred\n", b"\x1b[1;31mred\x1b[m\n"),
        (b"\x1b[1;31\x1b[m", b"^[[1;31\x1b[m"),
        (b"\xe2\x9b and \xff\x1b", b"\xe2M-^[ and \xff^["),
        ("a\u202ec.o\u2066b\u2069".encode(), b"a\\u202ec.o\\u2066b\\u2069"),
    ],
)
def test_orders_are_written_out(words: bytes, shown: bytes) -> None:
    assert visible(words) == shown


@given(st.binary())
def test_nothing_but_colours_links_and_text_is_left(words: bytes) -> None:
    left = visible(words)
    assert visible(left) == left
    for fine in (b"\x1b]8;;", b"\x1b\\", b"\x07", b"\r\n", b"\x1b[K"):
        left = left.replace(fine, b"")
    assert not [c for c in left.replace(b"\x1b[", b"") if c < 0x20 and c not in b"\t\n"]


class _Terminal(io.BytesIO):
    def isatty(self) -> bool:
        return True


def test_a_name_in_a_line_of_ours_has_no_colour() -> None:
    """One that hides what stands behind it would be a lie about the line."""
    stream = _Terminal()
    TextOutput(stream).line("x\x1b[8m.o: failed")
    assert stream.getvalue() == b"x\\x1b[8m.o: failed\n"


@pytest.mark.parametrize("stream", [io.BytesIO, _Terminal])
def test_a_pipe_gets_every_byte(stream: type[io.BytesIO]) -> None:
    """And a terminal is not led astray by the name of a file either."""
    out, err = stream(), stream()
    words = b"\x1b]0;t\x07\n"
    for sink in (Quiet(TextOutput(out), TextOutput(err)), Plain(TextOutput(out), TextOutput(err))):
        sink.see(Diagnostics("x.o", words, words))
        sink.see(ThunkFailed("id", "\x1b[2Jx.o", 1, words, words))
    raw = stream is io.BytesIO
    assert (words in out.getvalue(), words in err.getvalue(), b"\x1b" in err.getvalue()) == (raw, raw, raw)


@pytest.mark.parametrize("stream", [io.BytesIO, _Terminal])
def test_no_name_is_a_line_of_its_own(stream: type[io.BytesIO]) -> None:
    out, err = stream(), stream()
    for sink in (Quiet(TextOutput(out), TextOutput(err)), Plain(TextOutput(out), TextOutput(err))):
        sink.see(ThunkFailed("id", "x\ngg: 9 thunks: 9 ran\x85\u2028.o", 1, b"", b""))
    lines = err.getvalue().decode().splitlines()
    assert lines == [r"gg: x\x0agg: 9 thunks: 9 ran\x85\u2028.o: failed with status 1"] * 2
