"""Commands do what README, docs/ and their help say, also where something that they could use is not there."""

from __future__ import annotations

import os
import sys

import pytest

from tests.e2e.project import SCRIPTS, Project, Result, is_placeholder

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


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("job = 4\n", "unknown setting 'job'\n    did you mean jobs?"),
        ("keep-goin = true\n", "did you mean keep_going?"),
        ("[tools.sort]\n", "unknown table 'tools'\n    did you mean tool?"),
        ("[settings]\njobs = 4\n", "unknown table 'settings'"),
        ("[[jobs]]\n", "jobs cannot be"),
        ('jobs = "four"\n', "jobs cannot be 'four'\n    it is a whole number"),
        ("jobs = true\n", "jobs cannot be True"),
        ("keep_going = 1\n", "keep_going cannot be 1\n    it is true or false"),
        ("real = [1]\n", "real cannot be [1]"),
        ("store = 5\n", "store cannot be 5"),
        ('store = "ftp://x"\n', "'ftp://x' is no store"),
        ('engine = "moon"\n', "there is no engine 'moon'"),
        ("engine = []\n", "no engine is named"),
        ('fallback = "moon"\n', "there is no engine 'moon'"),
        ("memory = -1\n", "memory is a number of bytes"),
        ('trusted = ["x"]\n', "no public key"),
        ("tool = 1\n", "unknown setting 'tool'"),
    ],
)
@pytest.mark.parametrize("command", ["gg-force", "gg-infer"])
def test_a_wrong_setting_is_told_even_where_there_is_nothing_to_do(
    project: Project, text: str, said: str, command: str
) -> None:
    project.gg("init")
    project.write("gg.toml", text)
    words = [command, "true"] if command == "gg-infer" else [command]
    told = project.run(SCRIPTS / words[0], *words[1:], status=64).text
    assert said in told
    assert "this is a bug" not in told


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[tool.sort]\noption.output = ["-o:"]\n', "unknown key 'option'\n    did you mean options?"),
        ('[tool.sort]\noptions.outptu = ["-o:"]\n', "unknown role 'outptu'\n    did you mean output?"),
        ("[tool.sort]\njobs = 4\n", "unknown key 'jobs'"),
    ],
)
def test_a_wrong_key_of_a_tool_names_the_nearest(project: Project, text: str, said: str) -> None:
    project.write("gg.toml", text)
    assert said in project.infer("true", status=64).text


def test_flags_are_checked_where_there_is_nothing_to_do(project: Project) -> None:
    project.gg("init")
    assert "there is no engine 'nonsense'" in project.force("--engine", "nonsense", status=64).text
    assert "there is no engine 'nonsense'" in project.force("--fallback", "nonsense", status=64).text
    assert "is no store" in project.force("--store", "nonsense", status=64).text


def test_settings_above_where_the_first_recording_was(project: Project) -> None:
    project.write("gg.toml", 'real = ["gcc"]\n')
    project.write("deep/er/x.c", "int x;\n")
    below = project.path("deep/er")
    project.run(SCRIPTS / "gg-infer", "gcc", "-c", "x.c", cwd=below)
    assert not is_placeholder(below / "x.o")
    project.write("deep/gg.toml", "")
    project.run(SCRIPTS / "gg-infer", "gcc", "-c", "x.c", cwd=below)
    assert is_placeholder(below / "x.o"), "the nearest one counts"


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user")
def test_settings_that_somebody_else_has_put_above_are_not_believed(project: Project) -> None:
    project.write("a/x.c", "int x;\n")
    os.chown(project.write("gg.toml", 'real = ["gcc"]\n'), 1234, 1234)
    project.run(SCRIPTS / "gg-infer", "gcc", "-c", "x.c", cwd=project.path("a"))
    assert is_placeholder(project.path("a/x.o"))


_NO_ADDRESS = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
_NO_KEYS = {"AWS_EC2_METADATA_DISABLED": "true"}


@pytest.mark.parametrize("environment", [_NO_ADDRESS, _NO_KEYS], ids=["unreachable", "no credentials"])
def test_a_store_that_cannot_be_had_is_told_once_and_the_build_goes_on(
    project: Project, environment: dict[str, str]
) -> None:
    project.env |= {**environment, "GG_STORAGE_URI": "s3://team/x?region=eu-west-1"}
    project.write("x.c", "int x;\n")
    project.write("y.c", "int y;\n")
    told = project.infer("sh", "-c", "gcc -c x.c && gcc -c y.c && nm x.o && nm y.o").text
    assert told.count("going on without the shared store") == 1, told
    assert not project.placeholders()


def test_without_the_extra_a_build_goes_on_without_the_shared_store(project: Project) -> None:
    project.write("x.c", "int x;\n")
    project.infer("gcc", "-c", "x.c")
    project.env["GG_STORAGE_URI"] = "s3://team/x?region=eu-west-1"
    told = without_extra(project, "gg-force").text
    assert "going on without the shared store: a store in a bucket needs" in told
    assert not project.placeholders()


def test_describe_and_explain_by_a_fixed_path(project: Project) -> None:
    project.write("x.c", "int x;\n")
    project.infer("--known-as", "/fixed/project", "gcc", "-c", "x.c")
    project.force()
    assert "makes /fixed/project/x.o" in project.gg("describe", "x.o").text
    assert "its result is known" in project.gg("explain", "x.o").text


def test_describe_and_explain_after_a_failure(project: Project) -> None:
    project.write("x.c", "int x\n")
    project.infer("gcc", "-c", "x.c")
    project.force(status=1)
    assert not project.path("x.o").exists()
    assert "gcc -c x.c" in project.gg("describe", "x.o").text
    assert "it has failed when it was forced last" in project.gg("explain", "x.o").text
    assert "nothing recorded" in project.gg("describe", "y.o", status=66).text


def test_explain_of_a_file_that_was_made_for_real(project: Project) -> None:
    project.write("d.c", "const char *d = __DATE__;\n")
    project.infer("gcc", "-c", "d.c")
    said = project.gg("explain", "d.o").text
    assert "ran for real" in said
    assert "__DATE__" in said
