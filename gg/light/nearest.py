"""Which of the names that exist somebody may have meant."""

from __future__ import annotations

from collections.abc import Iterable


def known_names(word: str, known: Iterable[str]) -> str:
    """A hint for a name that does not exist: the nearest one that does, and all of them."""
    from difflib import get_close_matches

    names = list(known)
    near = get_close_matches(word, names, 1)
    return (f"did you mean {near[0]}? " if near else "") + f"known: {', '.join(names)}"
