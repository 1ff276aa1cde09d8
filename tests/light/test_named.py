"""What `gg.light.named` promises: all that is used of the standard library's named tuples."""

from __future__ import annotations

import copy
import pickle
import typing
from collections.abc import Callable

import pytest

from gg.light.named import NamedTuple


class Point(NamedTuple):
    """A place."""

    x: int
    y: int = 2

    @property
    def sum(self) -> int:
        return self.x + self.y


class Standard(typing.NamedTuple):
    """The same."""

    x: int
    y: int = 2


class Other(NamedTuple):
    x: int
    y: int = 2


class Empty(NamedTuple):
    pass


class Loud(Point):
    def __repr__(self) -> str:
        return f"LOUD {self.x}"


@pytest.mark.parametrize("given", [(1,), (1, 3)])
def test_it_is_a_tuple_with_names(given: tuple[int, ...]) -> None:
    made, standard = Point(*given), Standard(*given)
    assert made == tuple(standard) == tuple(Other(*given))
    assert hash(made) == hash(standard)
    assert (made.x, made.y, made.sum, len(made)) == (standard.x, standard.y, sum(standard), 2)
    assert repr(made) == repr(standard).replace("Standard", "Point")
    assert made._asdict() == standard._asdict()
    assert made._replace(y=9) == (1, 9)
    assert type(made._replace(y=9)) is Point
    assert Point._make([4, 5]) == Point(y=5, x=4) == (4, 5)
    assert Point.__doc__ == "A place."
    assert (Point._fields, Point._field_defaults) == (Standard._fields, Standard._field_defaults)
    assert (Empty(), Empty._fields, repr(Loud(7)), type(Loud(7))) == ((), (), "LOUD 7", Loud)


def test_it_is_matched_copied_and_pickled() -> None:
    match Point(1, 5):
        case Point(x, y=5):
            assert x == 1
        case _:
            pytest.fail("no match")
    for again in (copy.copy(Point(1)), copy.deepcopy(Point(1)), pickle.loads(pickle.dumps(Point(1)))):
        assert (again, type(again)) == (Point(1), Point)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda kind: kind(),
        lambda kind: kind(1, 2, 3),
        lambda kind: kind(1, z=3),
        lambda kind: kind._make([1]),
        lambda kind: kind._make([1, 2, 3]),
        lambda kind: setattr(kind(1), "x", 2),
        lambda kind: setattr(kind(1), "new", 2),
    ],
)
def test_what_is_refused(wrong: Callable[[type], object]) -> None:
    for kind in (Point, Standard):
        with pytest.raises((TypeError, AttributeError)):
            wrong(kind)


def test_a_replacement_of_no_field() -> None:
    with pytest.raises(TypeError, match="z"):
        Point(1)._replace(z=1)  # type: ignore[call-arg]
