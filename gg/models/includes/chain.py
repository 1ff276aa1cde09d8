"""The search path as the compiler really goes through it: which directories are left out, and in which order.

After `remove_duplicates` and `merge_include_chains` in GCC's incpath.c: what is missing is left out; a directory that
occurs twice (by device and inode) is searched at its first place; a user's directory that is also a system one is
searched as the latter; the last quote directory gives way if the bracket directories start with the same one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gg.light.slotted import slotted
from gg.models.drafts import SearchPath
from gg.models.includes.tree import SearchedDirectory

# Positions of what was not found on the search path. `#include_next` in a source, or in a file that was named by
# an absolute name, is an ordinary #include; in one found beside its includer it starts with the search path.
ABSOLUTE, SOURCE, HERE = -3, -2, -1


@slotted()
class SearchPlace:
    """A directory to search. `prefix` goes before a name when it is displayed; `position` is its index."""

    directory: SearchedDirectory
    prefix: bytes
    system: bool
    position: int


def lay_out(search: SearchPath, locate: Callable[[bytes], SearchedDirectory]) -> tuple[list[SearchPlace], int]:
    """The places to search for the quoted form, and the index from which the bracket form starts.

    `locate` gives the directory of a name as it is written on the command line.
    """

    def place(name: bytes, system: bool = False) -> SearchPlace:
        name = name or b"."
        return SearchPlace(locate(name), name if name.endswith(b"/") else name + b"/", system, 0)

    system = _once([place(name, True) for name in search.bracket[search.user :]], {})
    taken = {_identity(p.directory): None for p in system}
    user = _once([place(name) for name in search.bracket[: search.user]], taken)
    written = [place(name) for name in search.quote]
    quote = _once(written, taken)
    following = [*user, *system]
    joined = quote and following and _identity(quote[-1].directory) == _identity(following[0].directory)
    if joined and quote[-1] is written[-1]:
        quote.pop()
    places = [*quote, *following]
    return [SearchPlace(p.directory, p.prefix, p.system, i) for i, p in enumerate(places)], len(quote)


def _identity(directory: SearchedDirectory) -> tuple[int, int] | None:
    return directory.signature[:2] if directory.signature is not None else None


def _once(places: Iterable[SearchPlace], taken: dict[tuple[int, int] | None, None]) -> list[SearchPlace]:
    """The places that exist and whose directory is not in `taken`, each directory once."""
    seen = {None: None, **taken}
    kept = []
    for place in places:
        identity = _identity(place.directory)
        if identity not in seen:
            seen[identity] = None
            kept.append(place)
    return kept


def lasting(place: SearchPlace) -> bool:
    """Whether it is a system directory that stays as it is, by an absolute name: the same for every unit that has it."""
    return place.system and not place.directory.volatile and place.prefix.startswith(b"/")
