"""Where the results of runs under virtual time go: a table on the terminal, and the files that were asked for."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path)


def put(result: Mapping[str, object], text: str, options: argparse.Namespace) -> None:
    """`text`: the result as Markdown."""
    print(text)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    if options.markdown:
        options.markdown.write_text(text)
