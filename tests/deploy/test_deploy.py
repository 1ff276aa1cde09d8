"""What a deployment is, before any call: runtimes, architectures, names, policies, the zip."""

from __future__ import annotations

import ast
import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from gg.deploy import permissions as policy
from gg.deploy import wheels
from gg.deploy.closure import modules
from gg.deploy.found import Deployment, FoundFunction, remember, remembered
from gg.deploy.package import build
from gg.deploy.runtimes import OFFERED, choose, choose_architecture, platforms
from gg.deploy.wanted import Account, Wanted, checked, costs
from gg.errors import FormatError, StoreError, UsageError

_WANTED = Wanted(Account("123456789012"), "eu-west-1", "team", "builds/gg", "x86_64", OFFERED[0])


def test_the_runtime_is_the_users_python_or_the_newest() -> None:
    assert choose("", (3, 12)).name == "python3.12"
    assert choose("", (3, 15)) == OFFERED[0]
    assert choose("python3.11", (3, 13)).python == (3, 11)
    with pytest.raises(UsageError, match=r"no runtime 'python3\.8'"):
        choose("python3.8", (3, 13))


def test_another_architecture_is_refused_in_words() -> None:
    assert choose_architecture("", "x86_64") == choose_architecture("x86_64", "x86_64") == "x86_64"
    assert choose_architecture("", "aarch64") == choose_architecture("arm64", "aarch64") == "arm64"
    with pytest.raises(UsageError, match="functions on arm64 cannot run the compilers of this x86_64 machine"):
        choose_architecture("arm64", "x86_64")
    with pytest.raises(UsageError, match="'mips' is no architecture of Lambda"):
        choose_architecture("mips", "x86_64")
    with pytest.raises(UsageError, match="Lambda has no riscv64 machines"):
        choose_architecture("", "riscv64")


def test_wheels_ask_for_no_newer_c_library_than_the_runtime_has() -> None:
    assert platforms(choose("python3.11", (3, 11)), "x86_64")[0] == "manylinux_2_26_x86_64"
    assert platforms(choose("python3.13", (3, 11)), "arm64")[0] == "manylinux_2_34_aarch64"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"name": "a_b"}, "no name for functions"),
        ({"bucket": "Big"}, "no name for a bucket"),
        ({"prefix": ""}, "no prefix"),
        ({"memory": (64,)}, "no function with 64 MB"),
        ({"memory": (512, 512)}, "given once"),
        ({"role": "mine"}, "is no role"),
    ],
)
def test_what_aws_would_refuse_is_refused_first(change: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        checked(_WANTED._replace(**change))


def test_no_action_and_no_resource_is_a_mere_wildcard() -> None:
    for document in (policy.trust(_WANTED), policy.worker(_WANTED), policy.transport(_WANTED)):
        for statement in document["Statement"]:
            for action in _listed(statement["Action"]):
                assert "*" not in action
            for resource in _listed(statement.get("Resource", [])):
                assert _WANTED.bucket in resource or ":log-group:/aws/lambda/gg-worker-x86_64-" in resource
                assert "*" not in resource.removesuffix("/*").removesuffix(":*")


def test_the_worker_may_not_write_results_nor_read_records() -> None:
    allowed = {
        (action, resource)
        for statement in policy.worker(_WANTED)["Statement"]
        for action in statement["Action"]
        for resource in statement["Resource"]
        if action.startswith("s3:")
    }
    objects = "arn:aws:s3:::team/builds/gg"
    assert allowed == {
        ("s3:GetObject", f"{objects}/packs/*"),
        ("s3:GetObject", f"{objects}/blobs/*"),
        ("s3:PutObject", f"{objects}/blobs/*"),
    }


def test_costs_are_told_for_each_size() -> None:
    assert "$103.84 for 1,000 x 1769 MB, 176.43 for 1,000 x 3008 MB" in costs(_WANTED)[1]


def test_other_partitions_have_other_names() -> None:
    china = _WANTED._replace(account=Account("1" * 12, "aws-cn"))
    assert china.role_arn == f"arn:aws-cn:iam::{'1' * 12}:role/gg-worker-eu-west-1"
    assert policy.worker(china)["Statement"][0]["Resource"][0].startswith("arn:aws-cn:s3:::")


def test_the_closure_is_what_python_imports() -> None:
    found = modules("gg.share.s3.pack")
    script = "import sys, gg.share.s3.pack; print([m for m in sys.modules if m == 'gg' or m.startswith('gg.')])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = {name.replace(".", "/") for name in ast.literal_eval(done.stdout)}
    assert loaded <= {path.removesuffix(".py").removesuffix("/__init__") for path in found}
    assert not [path for path in found if path.startswith(("gg/cli", "gg/record", "gg/models"))]
    with pytest.raises(StoreError, match=r"has no gg\.nothing"):
        modules("gg.nothing")


def test_the_zip_is_the_same_bytes_each_time_and_readable_by_all(tmp_path: Path) -> None:
    runtime = choose("", sys.version_info[:2])
    first, second = (build(runtime, "x86_64", str(tmp_path), entry="gg.share.s3.pack") for _ in range(2))
    assert first == second
    with zipfile.ZipFile(io.BytesIO(first.data)) as archive:
        names = archive.namelist()
        modes = {info.external_attr >> 16 & 0o777 for info in archive.infolist()}
    assert modes == {0o644, 0o755}
    assert {"gg/share/s3/pack.py", "gg/_native/libgg-pathmap.so", "blake3/__init__.py", "msgpack/__init__.py"} <= set(
        names
    )
    assert not [name for name in names if "_cffi" in name or name.endswith(".pyi")]
    compiled = [name for name in names if name.startswith("gg/") and name.endswith(".pyc")]
    assert len(compiled) == len([n for n in names if n.startswith("gg/") and n.endswith(".py")]) * (
        runtime.python == sys.version_info[:2]
    )


def test_the_zip_for_another_python_has_its_wheels(tmp_path: Path) -> None:
    other = next(runtime for runtime in OFFERED if runtime.python != sys.version_info[:2])
    names = {os.path.basename(path) for path in wheels.fetch(other, "arm64", str(tmp_path))}
    assert len(names) == 3
    assert all("aarch64" in name and f"cp{other.python[0]}{other.python[1]}" in name for name in names)


def test_a_wheel_that_is_not_to_be_had_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(StoreError, match=r"pip cannot get wheels for python3\.14 on x86_64"):
        wheels.fetch(OFFERED[0], "x86_64", str(tmp_path))


def test_no_module_of_the_tree_at_hand_is_taken_for_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who deploys is in some directory, which may be a stranger's; his AWS keys are in the environment."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    trap = f"open({str(tmp_path / 'trapped')!r}, 'w')\n"
    (tmp_path / "pip.py").write_text(trap)
    (tmp_path / "json.py").write_text(trap)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreError, match="pip cannot get wheels"):
        wheels.fetch(OFFERED[0], "x86_64", str(tmp_path / "cache"))
    assert not (tmp_path / "trapped").exists()


def test_what_was_deployed_is_remembered(tmp_path: Path) -> None:
    deployments = (Deployment("eu-west-1", "x86_64", (FoundFunction("a", 512), FoundFunction("b", 1769)), "s3://b/p"),)
    assert remembered(str(tmp_path)) == ()
    remember(str(tmp_path), deployments)
    assert remembered(str(tmp_path)) == deployments
    remember(str(tmp_path), ())
    assert remembered(str(tmp_path)) == ()
    (tmp_path / "deployment.json").write_text('{"version": 2}')
    with pytest.raises(FormatError, match="of version 2"):
        remembered(str(tmp_path))
    (tmp_path / "deployment.json").write_text("{")
    with pytest.raises(FormatError, match="is damaged"):
        remembered(str(tmp_path))


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
