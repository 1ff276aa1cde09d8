"""Commands do what the README and their help say, also where something that they could use is not there."""

from __future__ import annotations

import os
import sys

import pytest

from tests.e2e.project import SCRIPTS, Project, Result

_WITHOUT_EXTRA = """
import sys
sys.modules.update(dict.fromkeys(("boto3", "botocore", "cryptography", "zstandard")))
from gg.cli import main
sys.argv = sys.argv[1:]
getattr(main, {"gg": "main", "gg-force": "force", "gg-infer": "infer"}[sys.argv[0]])()
"""


def without_extra(project: Project, *words: str, status: int | None = 0) -> Result:
    """A command of a gg that was installed without its extra `aws`."""
    return project.run(sys.executable, "-c", _WITHOUT_EXTRA, *words, status=status)


@pytest.mark.parametrize(
    "words",
    [
        ("gg", "key", "new"),
        ("gg", "key", "trust", "ann:AAAA"),
        ("gg", "deploy", "lambda"),
        ("gg", "undeploy"),
    ],
)
def test_what_needs_the_extra_says_so(project: Project, words: tuple[str, ...]) -> None:
    said = without_extra(project, *words, status=78).text
    assert "pip install 'ggbuild[aws]'" in said
    assert "this is a bug" not in said


@pytest.mark.parametrize(
    "words", [("key", "new"), ("key", "show"), ("key", "list"), ("key", "trust"), ("key", "distrust"), ("deploy",)]
)
def test_help_needs_nothing(project: Project, words: tuple[str, ...]) -> None:
    assert "Usage: gg " in without_extra(project, "gg", *words, "--help").text
    assert not os.listdir(project.env["HOME"])


def test_the_doctor_tries_a_jail(project: Project) -> None:
    said = project.gg("doctor").text
    works = project.run("unshare", "-Urm", "true", status=None).status == 0
    assert ("user and mount namespaces work" in said) == works


def test_the_doctor_says_why_there_are_no_namespaces(project: Project) -> None:
    """In a user namespace that may have none below it."""
    alone = ["unshare", "-Ur", "sh", "-c", 'echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"', "sh"]
    said = project.run(*alone, SCRIPTS / "gg", "doctor").text
    assert "no namespaces here" in said
    assert "--probe" not in said


def test_the_doctor_names_a_wrong_setting(project: Project) -> None:
    project.gg("init")
    project.write("gg.toml", "jobs = [\n")
    said = project.gg("doctor", status=1).text
    assert "bad   " in said
    assert "gg.toml" in said
