"""gg-force --estimate: tells what a force would take, and runs, writes and sends nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.project import SCRIPTS, Project

MAKEFILE = "prog: a.o b.o ; gcc -o $@ a.o b.o\n%.o: %.c ; gcc -c $< -o $@\n"


@pytest.fixture
def tree(project: Project) -> Project:
    project.write("Makefile", MAKEFILE)
    project.write("a.c", "int b(void); int main(void) { return b(); }\n")
    project.write("b.c", "int b(void) { return 0; }\n")
    project.infer("make")
    return project


def estimate(project: Project, *arguments: str) -> dict[str, Any]:
    result = project.run(SCRIPTS / "gg-force", "--estimate", "--json", *arguments)
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def names(project: Project) -> set[str]:
    return {path.name for path in project.cache.rglob("*") if not path.name.startswith(("store.db", "files.db"))}


def test_nothing_is_run_written_or_sent(tree: Project) -> None:
    before, kept = tree.tree(), names(tree)
    tree.env |= {"GG_STORAGE_URI": "s3://nowhere/p?region=us-east-1", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    found = estimate(tree, "--jobs", "100,500")
    assert tree.tree() == before
    assert all(name.startswith("remote-") for name in names(tree) - kept), "no more than an empty memory of that store"
    assert [(row["engine"], row["width"]) for row in found["rows"]][1:] == [
        (engine, width) for engine in ("lambda", "spot") for width in (100, 500)
    ]
    assert found["rows"][1]["cost"]["total"] > 0
    assert len(found["assumed"]) > 10


def test_durations_are_guessed_until_they_were_seen(tree: Project) -> None:
    first = estimate(tree)
    assert first["thunks"] == 3
    assert {kind: guess["thunks"] for kind, guess in first["guessed"].items()} == {"compile": 2, "link": 1}
    tree.forced()
    assert estimate(tree)["thunks"] == 0
    tree.path("a.o").unlink()
    tree.path("prog").unlink()
    tree.write("a.c", "int b(void); int main(void) { return b() + 1 - 1; }\n")
    tree.infer("make")
    again = estimate(tree)
    assert (again["thunks"], again["guessed"]) == (2, {})


def test_plain_lines_for_a_pipe(tree: Project) -> None:
    text = tree.run(SCRIPTS / "gg-force", "--estimate", "--jobs", "7", "--engine", "lambda", "prog").text
    head, row, *rest = text.splitlines()
    assert head.split()[:3] == ["engine", "wide", "time"]
    assert row.split()[:2] == ["lambda", "7"]
    assert "gg: 3 thunks to run" in rest[0]
    assert "3 durations guessed: 2 compile at 1 s (by default), 1 link at 2 s (by default)" in rest[1]
    assert any("published prices of us-east-1" in line for line in rest)
    assert "assumed:" in rest


@pytest.mark.parametrize("jobs", ["0", "x", "1,", "1,0", ""])
def test_what_is_no_number_of_jobs(tree: Project, jobs: str) -> None:
    assert "not a number of jobs" in tree.run(SCRIPTS / "gg-force", "--estimate", "--jobs", jobs, status=64).text


def test_several_widths_are_for_an_estimate(tree: Project) -> None:
    assert "--jobs takes one number" in tree.run(SCRIPTS / "gg-force", "--jobs", "2,3", status=64).text
