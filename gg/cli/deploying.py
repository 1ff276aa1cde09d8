"""The common parts of `gg deploy`, `gg undeploy` and `gg spot`: which store they mean, and how they report."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from gg.errors import UsageError
from gg.workspace.workspace import Workspace

if TYPE_CHECKING:
    from gg.deploy.aws_calls import ResourceAction
    from gg.share.s3.uri import StoreUri

_VERBS = {"make": "+", "change": "~", "keep": "=", "remove": "-", "lack": "!"}
LEGEND = "+ made, ~ changed, = as it should be, - removed, ! not offered here"


def store_place(text: str) -> StoreUri:
    """The store that an option or a setting names; if none is named, a place with defaults only."""
    from gg.cli.consent import settle
    from gg.share.s3.uri import StoreUri, parse

    found = Workspace.find()
    flags = {"store": text or None}
    named = settle(found.root if found else None, flags, ("store",)).store
    if not named:
        return StoreUri("")
    where = parse(named if "://" in named else f"s3://{named}")
    if where.scheme != "s3":
        raise UsageError(f"functions of Lambda cannot read {where}", hint="name a store in S3: s3://BUCKET/PREFIX")
    return where


def say(done: Iterable[ResourceAction]) -> None:
    for each in done:
        click.echo(f"  {_VERBS[each.verb]} {each.what}" + (f": {each.detail}" if each.detail else ""))


def only_for_lambda(*options: str) -> None:
    """UsageError for options that were given and mean nothing for spot workers."""
    from click.core import ParameterSource

    context = click.get_current_context()
    for name in options:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise UsageError(f"--{name} is for functions of Lambda alone", hint="leave it away")
