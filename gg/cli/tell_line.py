"""Prints a line of gg's own."""

from __future__ import annotations

import click

from gg.light.shown import in_line


def tell_line(text: str, *, err: bool = False) -> None:
    """Print one line, whatever the names in it are."""
    click.echo(in_line(text), err=err)
