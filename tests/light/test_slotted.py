"""What `gg.light.slotted` and `gg.light.regex` promise to those that use them in place of the standard library's."""

from __future__ import annotations

import pytest

from gg.light.regex import regex
from gg.light.slotted import field, names_of, replace, slotted


@slotted()
class Point:
    x: int
    y: int = 2


@slotted(frozen=False, kw_only=True)
class Bag:
    name: str
    items: list[int] = field(default_factory=list)


@slotted(eq=False)
class Thing:
    x: int


def test_fields_by_place_and_by_name() -> None:
    assert (Point(1).x, Point(1).y, Point(y=5, x=4).y) == (1, 2, 5)
    assert names_of(Point) == ("x", "y")
    match Point(3, 4):
        case Point(x, y):
            assert (x, y) == (3, 4)


@pytest.mark.parametrize("arguments", [{}, {"x": 1, "z": 2}])
def test_wrong_arguments(arguments: dict[str, int]) -> None:
    with pytest.raises(TypeError):
        Point(**arguments)
    with pytest.raises(TypeError):
        Bag("positional")  # type: ignore[call-arg]


def test_equality_and_hash() -> None:
    assert Point(1) == Point(1, 2) != Point(1, 3)
    assert len({Point(1), Point(1)}) == 1
    other: object = (1, 2)
    assert Point(1) != other
    assert Bag(name="a") == Bag(name="a")
    with pytest.raises(TypeError):
        hash(Bag(name="a"))
    assert Thing(1) != Thing(1)


def test_frozen_and_slotted() -> None:
    point, bag = Point(1), Bag(name="a")
    with pytest.raises(AttributeError):
        setattr(point, "x", 2)  # noqa: B010
    bag.name = "b"
    with pytest.raises(AttributeError):
        setattr(bag, "other", 1)  # noqa: B010
    assert not hasattr(point, "__dict__")


def test_a_factory_serves_each_object() -> None:
    first, second = Bag(name="a"), Bag(name="a")
    first.items.append(1)
    assert second.items == []
    assert Bag(name="a", items=first.items).items is first.items


def test_replace_and_repr() -> None:
    assert replace(Point(1), y=7) == Point(1, 7)
    with pytest.raises(TypeError):
        replace(Point(1), z=1)
    assert repr(Point(1)) == "Point(x=1, y=2)"


def test_a_late_expression_is_what_compile_gives() -> None:
    word = regex(rb"(\w)\w*")
    assert word.sub(rb"\1", b"ab cd") == b"a c"
    found = word.match(b"xyz")
    assert found is not None
    assert found[1] == b"x"
    assert word.pattern == rb"(\w)\w*"
    with pytest.raises(AttributeError):
        word.nothing  # type: ignore[attr-defined]  # noqa: B018
