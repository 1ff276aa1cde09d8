"""Slotted data classes that cost little to define: `dataclasses` for modules that a short command imports.

The standard decorator compiles half a dozen functions for each class, 0.5 to 1 ms, and loads `inspect` first. Here
`__init__` is compiled when the first object is made, and the other methods are shared by all classes. A type checker
sees data classes. Not supported: inheritance of fields, `__post_init__`, `ClassVar`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast, dataclass_transform

T = TypeVar("T")


class _Factory:
    __slots__ = ("make",)

    def __init__(self, make: Callable[[], object]) -> None:
        self.make = make


def field(*, default_factory: Callable[[], T]) -> T:
    """A default that is made anew for each object."""
    return cast("T", _Factory(default_factory))


@dataclass_transform(field_specifiers=(field,))
def slotted(*, frozen: bool = True, kw_only: bool = False, eq: bool = True) -> Callable[[type[T]], type[T]]:
    """Make a class with annotations a slotted one, compared by its fields unless not `eq`; hashable if `frozen`."""

    def make(cls: type[T]) -> type[T]:
        names = tuple(vars(cls).get("__annotations__", ()))
        body = {k: v for k, v in cls.__dict__.items() if k not in ("__dict__", "__weakref__")}
        defaults = {name: body.pop(name) for name in names if name in body}
        body |= {"__slots__": names, "__match_args__": names, "__repr__": _repr}
        if eq:
            body |= {"__eq__": _eq, "__hash__": _hash if frozen else None}
        if frozen:
            body |= {"__setattr__": _frozen, "__delattr__": _frozen}

        def first(self: object, *args: object, **named: object) -> None:
            init = _compiled(made, names, defaults, kw_only)
            made.__init__ = init
            init(self, *args, **named)

        body["__init__"] = first
        made: Any = type(cls)(cls.__name__, cls.__bases__, body)  # type: ignore[misc]  # a class, for `cls` is one
        return cast("type[T]", made)

    return make


def replace(old: T, **changes: object) -> T:
    """A copy with some fields changed; TypeError for a name that is no field."""
    names: tuple[str, ...] = getattr(type(old), "__match_args__", ())
    return type(old)(**{name: getattr(old, name) for name in names} | changes)


def names_of(kind: type) -> tuple[str, ...]:
    """The names of a class's fields, in order."""
    return cast("tuple[str, ...]", kind.__dict__["__match_args__"])


def _compiled(cls: type, names: tuple[str, ...], defaults: dict[str, object], kw_only: bool) -> Callable[..., None]:
    """Assigns by the slots' own descriptors, which a frozen class's `__setattr__` does not hinder."""
    scope: dict[str, Any] = {f"_set_{name}": cls.__dict__[name].__set__ for name in names}
    head, lines = ["self", *(["*"] if kw_only and names else [])], ["    pass"]
    for name in names:
        given = name
        if name in defaults:
            default = defaults[name]
            scope[f"_of_{name}"] = default.make if isinstance(default, _Factory) else default
            head.append(f"{name}=_absent" if isinstance(default, _Factory) else f"{name}=_of_{name}")
            if isinstance(default, _Factory):
                given = f"_of_{name}() if {name} is _absent else {name}"
        else:
            head.append(name)
        lines.append(f"    _set_{name}(self, {given})")
    scope["_absent"] = object()
    exec(f"def __init__({', '.join(head)}):\n" + "\n".join(lines), scope)  # names of fields, nothing else
    init = cast("Callable[..., None]", scope["__init__"])
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    return init


def _fields(self: object) -> tuple[object, ...]:
    return tuple(getattr(self, name) for name in type(self).__match_args__)  # type: ignore[attr-defined]


def _repr(self: object) -> str:
    names: tuple[str, ...] = type(self).__match_args__  # type: ignore[attr-defined]
    return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"


def _eq(self: object, other: object) -> bool:
    return _fields(self) == _fields(other) if type(other) is type(self) else NotImplemented


def _hash(self: object) -> int:
    return hash(_fields(self))


def _frozen(self: object, name: str, *_: object) -> None:
    raise AttributeError(f"cannot assign to {name!r} of a frozen {type(self).__name__}")
