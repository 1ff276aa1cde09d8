"""Whole packages: recorded, forced, compared byte for byte with a plain build, used, built again, checked.

The harness of `benchmarks/packages` does it; sources and build dependencies come from Debian. CI runs zlib and mosh.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.packages import debian, far, recipe, report, sources, stages
from tests.commands.batch import programs

RECIPES = recipe.load()
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "gg-packages"


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", ["zlib", "hello", "lua5.4", "mosh"])
def test_same_bytes_as_make(name: str) -> None:
    chosen = RECIPES[name]
    sources.install_dependencies(sources.missing_dependencies([chosen]))
    setting = stages.Setting(cache=CACHE, jobs=2, gg=programs(), checks=True)
    result = stages.side_by_side(chosen, setting)
    assert not result.failures, "\n".join([report.line(result), *report.details(result)])
    assert result.compared == result.identical > 0
    assert result.thunks


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("name", "engine"), [("zlib", "lambda"), ("zlib", "reapi")])
def test_same_bytes_elsewhere(name: str, engine: str) -> None:
    """Through the Lambda service, from an empty bucket, or a cluster; then in another checkout, where nothing may run."""
    chosen = RECIPES[name]
    sources.install_dependencies(sources.missing_dependencies([chosen]))
    with far.engine(engine, CACHE) as environment:
        setting = stages.Setting(cache=CACHE, jobs=2, gg=programs(), checks=False, far=environment)
        result = stages.side_by_side(chosen, setting)
    assert not result.failures, "\n".join([report.line(result), *report.details(result)])
    assert result.compared == result.identical > 0
    assert result.thunks


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", ["bzip2", "hello"])
def test_same_packages_as_debian_builds(name: str) -> None:
    """`gg-infer dpkg-buildpackage -b`: each .deb, byte for byte; hello's tests run within."""
    setting = stages.Setting(cache=CACHE, jobs=2, gg=programs(), checks=True)
    result = debian.side_by_side(name, setting)
    assert not result.failures, "\n".join([report.line(result), *report.details(result)])
    assert result.compared == result.identical > 0
    assert result.thunks
