"""Counts the words of many files by map and reduce, each step a thunk: what `import gg` is for beside builds.

    python wordcount.py FILE...          prints the ten most frequent words

Every file is counted by itself, and counts are added up two by two. Only what a change of the files needs is done again.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import gg

COUNT = "{ for (i = 1; i <= NF; i++) n[tolower($i)]++ } END { for (w in n) print w, n[w] > out }"
ADD = "{ n[$1] += $2 } END { for (w in n) print w, n[w] > out }"


def count(session: gg.Session, file: str) -> gg.Thunk:
    """The words of one file, a line each."""
    return session.thunk(["awk", "-v", "out=counts", COUNT, session.file(file)], outputs=["counts"])


def add(session: gg.Session, left: gg.Thunk, right: gg.Thunk) -> gg.Thunk:
    return session.thunk(["awk", "-v", "out=sum", ADD, left, right], outputs=["sum"])


def total(session: gg.Session, parts: Sequence[gg.Thunk]) -> gg.Thunk:
    """Added up as a tree, so that the additions of one level can be made at once."""
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    return add(session, total(session, parts[:middle]), total(session, parts[middle:]))


def main(files: Sequence[str]) -> None:
    with gg.Session() as session:
        whole = total(session, [count(session, file) for file in files])
        lines = session.submit(whole).result().read().decode().splitlines()
    counts = sorted((line.split() for line in lines), key=lambda pair: (-int(pair[1]), pair[0]))
    for word, number in counts[:10]:
        print(number, word)


if __name__ == "__main__":
    main(sys.argv[1:])
