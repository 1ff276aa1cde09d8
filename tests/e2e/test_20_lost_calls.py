"""Recorded calls whose thunks the store has lost: told, and no success."""

from __future__ import annotations

import shutil

from tests.e2e.project import Project


def test_a_call_that_the_store_has_lost(project: Project) -> None:
    project.write("check.c", "int x = 1;\n")
    project.infer("sh", "-c", "gcc -c check.c && rm check.o")
    shutil.rmtree(project.store)
    told = project.force(status=None)
    assert told.status not in (0, 1)
    assert "check.o" in told.text
    assert "gg-infer" in told.text
    assert not project.force().text
    project.infer("sh", "-c", "gcc -c check.c && rm check.o")
    assert not project.force().text
