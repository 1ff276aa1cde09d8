"""What runs a worker elsewhere, as `gg worker --print` says: systemd, an image, Kubernetes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from kubernetes_validate import validate

from gg import __version__
from gg.deploy.service_files import UNIT_WALLS, systemd_unit
from gg.deploy.spot.boot_script import user_data
from tests.aws.test_fleet import PLAN
from tests.e2e.project import Project
from tests.e2e.test_22_workers import units
from tests.e2e.workers import Worker

ROOT = Path(__file__).parents[2]
_MOST_EXPOSED = 30  # tenths, of 100


def _printed(project: Project, *options: str) -> str:
    return project.gg("worker", *options).stdout.decode()


def _spot_unit() -> str:
    return user_data(PLAN, "0" * 64).partition("<<'UNIT'\n")[2].partition("UNIT\n")[0]


@pytest.fixture(params=["printed", "spot"])
def unit(request: pytest.FixtureRequest, project: Project, tmp_path: Path) -> Path:
    text = _printed(project, "--listen", "--print", "systemd") if request.param == "printed" else _spot_unit()
    path = tmp_path / "gg-worker.service"
    path.write_text(re.sub(r"^(ExecStart=)\S+", r"\1/usr/bin/true", text, flags=re.MULTILINE))
    return path


def test_systemd_takes_the_unit_and_finds_it_safe(unit: Path) -> None:
    said = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert "gg-worker" not in said.stdout + said.stderr
    words = ["systemd-analyze", "security", "--offline=true", f"--threshold={_MOST_EXPOSED}", str(unit)]
    judged = subprocess.run(words, capture_output=True, text=True, check=False)
    assert judged.returncode == 0, judged.stdout
    assert "exposure level for gg-worker.service" in judged.stdout


def test_the_unit_keeps_what_it_was_told(project: Project) -> None:
    text = _printed(project, "--listen=10.0.0.5:7", "--memory", "8G", "--grace", "30", "--print", "systemd")
    (start,) = re.findall(r"^ExecStart=(.*)", text, re.MULTILINE)
    assert start.split()[1:] == ["worker", "--listen=10.0.0.5:7", "--memory=8G", "--grace=30.0"]
    assert Path(start.split()[0]).is_absolute()
    assert "TimeoutStopSec=50" in text


def test_words_as_systemd_reads_them() -> None:
    text = systemd_unit(["/opt/a b/gg", "--directory=/x%y$z", 'q"'], 100)
    assert 'ExecStart="/opt/a b/gg" --directory=/x%%y$$z "q\\""\n' in text


def test_a_worker_works_under_the_units_system_calls(project: Project, tmp_path: Path) -> None:
    """The filter that systemd makes of the unit, around a worker and what it runs."""
    units(project, 3)
    project.write("static.c", "int main(void) { return 0; }\n")
    project.write(
        "Makefile", (project.root / "Makefile").read_text() + "all: program out\nout: program\n\t./tool >$@\n"
    )
    expected, _ = project.plain("make")
    project.infer("make")
    lines = UNIT_WALLS.splitlines()
    (allowed,) = [line.partition("=")[2] for line in lines if line.startswith("SystemCallFilter=")]
    names = sorted({name for word in allowed.split() for name in _calls(word)})
    worker = Worker(tmp_path / "worker", project.env, before=[sys.executable, "-c", _FILTERED, *names, "--"])
    try:
        forced = project.forced("--engine", worker.line, "--fallback", "never")
    finally:
        worker.end()
    project.assert_tree(expected)
    assert len(forced.ran) == 5


_FILTERED = """
import os, sys
import pyseccomp as seccomp
end = sys.argv.index("--")
walls = seccomp.SyscallFilter(seccomp.ERRNO(1))
for name in sys.argv[1:end]:
    try:
        walls.add_rule(seccomp.ALLOW, name)
    except (RuntimeError, OSError, ValueError):
        pass  # of another kind of processor
walls.load()
os.execv(sys.argv[end + 1], sys.argv[end + 1 :])
"""


def _calls(word: str) -> Iterator[str]:
    if not word.startswith("@"):
        yield word
        return
    said = subprocess.run(["systemd-analyze", "syscall-filter", word], capture_output=True, text=True, check=True)
    for line in said.stdout.splitlines()[1:]:
        if line.strip() and not line.strip().startswith("#"):
            yield from _calls(line.strip())


def test_the_image(project: Project) -> None:
    """Its last stage; and what its first one takes from a checkout is there."""
    text = _printed(project, "--queue", "gg-jobs", "--region", "eu-west-1", "--print", "container")
    steps = dict(line.split(" ", 1) for line in text.splitlines() if line and line[0] not in "# ")
    assert json.loads(steps["ENTRYPOINT"]) == ["gg", "worker", "--queue=gg-jobs", "--region=eu-west-1"]
    assert steps["USER"] == "65534:65534"
    assert f"gg-worker:{__version__}" in text
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert wanted["name"] == "ggbuild"
    assert {"aws", "remote"} <= wanted["optional-dependencies"].keys()


def test_kubernetes_takes_the_deployment(project: Project) -> None:
    words = ["--queue", "gg-jobs", "--region", "eu-west-1", "--idle", "600"]
    made = yaml.safe_load(_printed(project, *words, "--print", "kubernetes"))
    validate(made, "1.30", strict=True)
    pod = made["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["command"] == ["gg", "worker"]
    assert container["args"] == ["--queue=gg-jobs", "--region=eu-west-1", "--idle=600.0", "--exchange", "$(POD_IP)"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    refused = project.gg("worker", "--listen", "--print", "kubernetes", status=64)
    assert "workers on Kubernetes read a queue" in refused.stderr.decode()
