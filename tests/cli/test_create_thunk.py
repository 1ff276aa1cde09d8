"""gg-create-thunk reads its plain options without click, and leaves the rest to click."""

from __future__ import annotations

import pytest

from gg.cli.create_thunk_run import parse


def test_every_spelling() -> None:
    request = parse(
        [
            "--envar",
            "A=1",
            "--envar=B==2",
            "-E",
            "C=3",
            "-oout",
            "-o",
            "left",
            "-C",
            "p",
            "-T",
            "9",
            "F",
            "fib",
            "-x",
            "--",
        ]
    )
    assert request is not None
    assert request.options["envar"] == ["A=1", "B==2", "C=3"]
    assert request.options["output"] == ["out", "left"]
    assert (request.last("placeholder"), request.last("link")) == ("p", "")
    assert request.arguments == ("F", "fib", "-x", "--")


def test_options_end() -> None:
    request = parse(["-o", "x", "--", "-F", "name"])
    assert request is not None
    assert request.arguments == ("-F", "name")


@pytest.mark.parametrize(
    "line", ["", "--help", "-h", "--debug F x", "--what F x", "-o", "--output", "-o out", "-T soon F x", "--out x F f"]
)
def test_left_to_click(line: str) -> None:
    assert parse(line.split()) is None


def test_click_knows_the_same_options() -> None:
    from gg.cli.create_thunk import command
    from gg.cli.create_thunk_run import _NAMES

    declared = {opt for param in command.params if param.param_type_name == "option" for opt in param.opts}
    assert declared - {"--debug", "--help", "-h"} == set(_NAMES)
