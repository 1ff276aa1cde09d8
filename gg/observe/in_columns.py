"""Text in columns, for people."""

from __future__ import annotations

from collections.abc import Container, Sequence


def columns(head: Sequence[str], rows: Sequence[Sequence[str]], right: Container[int] = ()) -> list[str]:
    """A line for `head` and for each row, two spaces between columns; those in `right`, by number, end flush."""
    table = [head, *rows]
    widths = [max(len(row[at]) for row in table) for at in range(len(head))]
    lines = []
    for row in table:
        cells = [cell.rjust(widths[at]) if at in right else cell.ljust(widths[at]) for at, cell in enumerate(row)]
        lines.append("  ".join(cells).rstrip())
    return lines
