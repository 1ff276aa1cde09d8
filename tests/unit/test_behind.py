"""Work in a thread behind its giver: in order, and no error is lost."""

from __future__ import annotations

import threading

import pytest

from gg.behind import Behind


def test_pieces_are_done_in_order_in_another_thread() -> None:
    done: list[tuple[int, bool]] = []
    with Behind[int](lambda piece: done.append((piece, threading.current_thread() is threading.main_thread()))) as work:
        for piece in range(20):
            work.give(piece)
    assert done == [(piece, False) for piece in range(20)]


def test_what_it_raises_is_raised_by_the_next_piece_or_at_the_end() -> None:
    def refuse(piece: int) -> None:
        raise ValueError(piece)

    def give(pieces: range) -> None:
        with Behind[int](refuse) as work:
            for piece in pieces:
                work.give(piece)

    with pytest.raises(ValueError, match="1"):
        give(range(1, 3))
    with pytest.raises(ValueError, match="3"):
        give(range(3, 4))


def test_the_givers_own_error_waits_for_the_piece() -> None:
    go, done = threading.Event(), list[int]()

    def late(piece: int) -> None:
        go.wait(10)
        done.append(piece)

    def give() -> None:
        with Behind[int](late) as work:
            work.give(1)
            go.set()
            raise KeyError

    with pytest.raises(KeyError):
        give()
    assert done == [1]
