"""Clusters of the Remote Execution API: bytes of a plain make, nothing run twice, what is told when it cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gg.engines.reapi import messages as m
from tests.e2e.project import Project
from tests.e2e.test_01_same_bytes import LIBRARY, greeter
from tests.servers.casd import casd
from tests.servers.reapi_cluster import ReapiCluster


@pytest.fixture
def cluster() -> Iterator[ReapiCluster]:
    made = ReapiCluster()
    yield made
    made.close()


def _options(address: str | int) -> tuple[str, ...]:
    where = f"127.0.0.1:{address}" if isinstance(address, int) else address
    return ("--engine", f"reapi=grpc://{where}", "--fallback", "never")


def test_root_is_slash(project: Project, tmp_path: Path) -> None:
    """buildbox-casd: a program, an archive and its index, with debug information and all words."""
    greeter(project, LIBRARY)
    project.write("main.c", '#warning "careful"\n' + project.path("main.c").read_text())
    expected, plain = project.plain("make")
    with casd(tmp_path / "casd") as address:
        project.infer("make")
        forced = project.forced(*_options(address))
    project.assert_tree(expected)
    project.make("-q")
    assert {e["engine"] for e in forced.events if e["event"] == "thunk-done"} == {"reapi"}
    assert b"careful" in plain.stderr
    assert b"careful" in forced.result.stdout + forced.result.stderr


def test_root_is_a_directory_and_a_second_checkout_runs_nothing(project: Project, cluster: ReapiCluster) -> None:
    project.env["GG_REAPI_ROOT"] = "relative"
    greeter(project, LIBRARY)
    expected, _ = project.plain("make")
    project.infer("make")
    project.force(*_options(cluster.port))
    project.assert_tree(expected)
    assert cluster.ran >= 5
    ran = cluster.ran
    for name in ("hello", "main.o", "greet.o", "libgreet.a"):
        project.path(name).unlink()
    project.forget()
    project.infer("make")
    project.force(*_options(cluster.port))
    project.assert_tree(expected)
    assert cluster.ran == ran


def test_this_processor_is_meant_there_too(project: Project, cluster: ReapiCluster) -> None:
    """`-march=native` is told by a file that travels; words of a link about itself name no directory of a worker's."""
    project.env["GG_REAPI_ROOT"] = "relative"
    project.write("x.c", "double f(double *a) { return a[0] * a[1] + a[2]; }\nint main(void) { return 0; }\n")
    project.write("Makefile", "x: x.o\n\tgcc -o x x.o -Wl,-Map=x.map\nx.o: x.c\n\tgcc -O3 -g -march=native -c x.c\n")
    expected, _ = project.plain("make")
    project.infer("make")
    project.force(*_options(cluster.port))
    project.assert_tree(expected)
    assert cluster.ran


def test_a_compile_error_is_the_users(project: Project, cluster: ReapiCluster) -> None:
    project.env["GG_REAPI_ROOT"] = "relative"
    project.write("x.c", "int x = ;\n")
    project.write("Makefile", "x.o: x.c\n\tcc -c x.c\n")
    project.infer("make")
    result = project.force(*_options(cluster.port), status=1)
    assert b"x.c:1:9: error" in result.stderr


def test_what_is_told_and_with_which_status(project: Project, cluster: ReapiCluster) -> None:
    project.env["GG_REAPI_ROOT"] = "relative"
    project.write("x.c", "int x;\n")
    project.write("Makefile", "x.o: x.c\n\tcc -c x.c\n")
    project.infer("make")
    url = f"reapi=grpc://127.0.0.1:{cluster.port}"
    cluster.token = "Bearer new"
    project.env |= {"GG_REAPI_HEADERS": "authorization: Bearer $TOKEN", "TOKEN": "old"}
    _tells(project, url, 77, b"the token has expired")
    project.env["TOKEN"] = "new"
    _tells(project, "reapi=grpc://build.example", 64, b"in the clear")
    _tells(project, f"{url}/nowhere", 78, b"has no instance 'nowhere'")
    able = cluster.capabilities
    cluster.capabilities = able._replace(execution_capabilities=m.ExecutionCapabilities(m.SHA256, False))
    _tells(project, url, 78, b"does not run actions")
    cluster.capabilities, cluster.room = able, 1000
    _tells(project, url, 74, b"is full: no room is left")
    cluster.room = 1 << 40
    project.force("--engine", url, "--fallback", "never")
    project.make("-q")


def _tells(project: Project, engine: str, status: int, line: bytes) -> None:
    said = project.force("--engine", engine, status=status).stderr
    assert line in said, said
    assert b"Traceback" not in said


def test_what_is_told_of_a_real_one(project: Project, tmp_path: Path) -> None:
    """buildbox-casd with room for a megabyte, of which it tells by no status of its own, and without anything that runs actions."""
    project.write("x.c", "int x;\n")
    project.write("Makefile", "x.o: x.c\n\tcc -c x.c\n")
    project.infer("make")
    with casd(tmp_path / "full", "--quota-high=1M", "--quota-low=500K") as address:
        _tells(project, f"reapi=grpc://{address}/nowhere", 78, b"has no instance 'nowhere'")
        _tells(project, f"reapi=grpc://{address}", 74, b"is full: ")
    with casd(tmp_path / "cache", runs=False) as address:
        _tells(project, f"reapi=grpc://{address}", 78, b"does not run actions")


def test_a_cluster_that_a_tree_names_must_be_allowed(project: Project, cluster: ReapiCluster) -> None:
    project.write("gg.toml", f'engine = "reapi"\nreapi = "grpc://127.0.0.1:{cluster.port}"\nreapi_root = "relative"\n')
    project.write("x.c", "int x;\n")
    project.write("Makefile", "x.o: x.c\n\tcc -c x.c\n")
    project.infer("make")
    project.force()
    project.make("-q")
    assert not cluster.calls
