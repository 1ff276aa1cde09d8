"""What goes wrong with a cluster: whose fault it is, what a person is told, and what is taken up again."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Set
from pathlib import Path
from typing import Any

import grpc
import pytest

from gg.core.ids import SandboxPath, ThunkId
from gg.core.thunk import Reduction, Thunk
from gg.engines.awslambda.lambda_engine import LambdaEngine
from gg.engines.engine import Failure
from gg.engines.reapi import messages as m
from gg.engines.reapi.cluster import ClusterConfig, cluster_of, parse_url
from gg.engines.reapi.execution import ActionCancelled, Execution
from gg.errors import AccessError, GGError, NoRoom, SetupError, Unreachable, UsageError
from gg.schedule.events import Fault
from gg.workspace.later import Late, Later
from gg.workspace.settings import Settings
from tests.conformance.engine_suite import Answers, EngineSuite
from tests.conformance.test_reapi_engine import Persistent
from tests.servers.ports import free_ports
from tests.servers.reapi_cluster import ReapiCluster
from tests.support.reapi_subject import ReapiSubject

Code: Any = grpc.StatusCode


@pytest.fixture
def cluster() -> Iterator[ReapiCluster]:
    made = ReapiCluster()
    yield made
    made.close()


@pytest.fixture
def subject(cluster: ReapiCluster, tmp_path: Path) -> ReapiSubject:
    return ReapiSubject(tmp_path, ClusterConfig(f"127.0.0.1:{cluster.port}", secure=False, relative=True))


def _ask(subject: ReapiSubject, thunk: ThunkId) -> Reduction | Failure:
    engine = subject.engine()
    try:
        return Answers(engine, subject.graph).of(thunk)
    finally:
        engine.close()


def _made(subject: ReapiSubject, thunk: ThunkId) -> bytes:
    return EngineSuite.output(subject, _ask(subject, thunk))


def _answer(engine: LambdaEngine, subject: ReapiSubject, thunk: ThunkId) -> bytes:
    """What it makes, submitted once more with what it turned out to need."""
    try:
        return EngineSuite.output(subject, Persistent(engine, subject.graph).of(thunk))
    finally:
        engine.close()


# What was known is not run


def test_a_known_result_is_not_run_again(cluster: ReapiCluster, subject: ReapiSubject, tmp_path: Path) -> None:
    file = subject.graph.file("a", b"1\n")
    thunk = subject.concat("out", "text", file)
    assert _made(subject, thunk) == b"1\ntext"
    assert cluster.ran == 1
    assert _made(subject, thunk) == b"1\ntext"
    assert cluster.ran == 1


def test_a_known_result_whose_bytes_are_gone_is_run_again(cluster: ReapiCluster, subject: ReapiSubject) -> None:
    thunk = subject.concat("out", "text" * 10)
    assert _made(subject, thunk) == b"text" * 10
    cluster.blobs = {hash: data for hash, data in cluster.blobs.items() if b"texttext" not in data or b"sh\0" in data}
    assert _made(subject, thunk) == b"text" * 10
    assert cluster.ran == 2


def test_a_failure_is_not_known_to_others(cluster: ReapiCluster, subject: ReapiSubject) -> None:
    thunk = subject.say("out", 3, "said", "error\n")
    for _ in range(2):
        failure = _ask(subject, thunk)
        assert isinstance(failure, Failure)
        assert (failure.fault, failure.status, failure.stdout, failure.stderr) == (Fault.TOOL, 3, b"said", b"error\n")
    assert cluster.ran == 2
    assert not cluster.results


class _Asked(Later):
    """Notes of which paths it is asked when they came."""

    def __init__(self) -> None:
        super().__init__(lambda name: 1, lambda path: (), b"/")
        self.paths: list[bytes] = []

    def late(
        self, name: ThunkId, thunk: Thunk, path: SandboxPath, directories: Callable[[], Set[bytes]]
    ) -> Late | None:
        self.paths.append(path)
        return None


def test_nobody_asks_when_a_file_came_that_is_not_there(subject: ReapiSubject) -> None:
    """A compile looks for hundreds of headers in vain."""
    (subject.where / "w" / "here").mkdir()
    later = _Asked()
    script = "for n in 1 2 3 4 5; do test -e none/$n; test -e here/$n; done; test -d here; echo done > out"
    assert _answer(subject.engine(later=later), subject, subject.shell("out", script)) == b"done\n"
    assert later.paths
    assert all(os.path.lexists(path) for path in later.paths)


# Files


@pytest.mark.parametrize("zstd", [True, False])
def test_large_files_go_as_streams(cluster: ReapiCluster, subject: ReapiSubject, zstd: bool) -> None:
    if not zstd:
        cluster.capabilities = cluster.capabilities._replace(
            cache_capabilities=m.CacheCapabilities((m.SHA256,), 1 << 20)
        )
    data = bytes(range(256)) * 12_000
    assert _made(subject, subject.concat("out", "tail", subject.graph.file("big", data))) == data + b"tail"
    assert {"Write", "Read", "BatchUpdateBlobs", "BatchReadBlobs"} <= set(cluster.calls)


def test_what_is_there_is_not_sent(cluster: ReapiCluster, subject: ReapiSubject) -> None:
    file = subject.graph.file("big", b"x" * (2 << 20))
    _made(subject, subject.concat("one", "1", file))
    cluster.calls.clear()
    _made(subject, subject.concat("two", "2", file))
    assert "Write" not in cluster.calls


def test_files_that_the_cluster_loses_are_sent_again(cluster: ReapiCluster, subject: ReapiSubject) -> None:
    engine = subject.engine()
    try:
        answers = Answers(engine, subject.graph)
        file = subject.graph.file("a", b"input\n")
        assert isinstance(answers.of(subject.concat("one", "1", file)), Reduction)
        cluster.blobs.clear()
        thunk = subject.concat("two", "2", file)
        lost = answers.of(thunk)
        assert isinstance(lost, Failure)
        assert lost.fault is Fault.INFRA
        assert EngineSuite.output(subject, answers.of(thunk)) == b"input\n2"
    finally:
        engine.close()


# Streams that break


def test_a_broken_stream_is_taken_up_again(cluster: ReapiCluster, subject: ReapiSubject) -> None:
    cluster.broken_streams = 3
    assert _made(subject, subject.concat("out", "text")) == b"text"
    assert cluster.ran == 1
    assert cluster.calls.count("Execute") == 1
    assert cluster.calls.count("WaitExecution") == 3


def test_an_action_that_the_cluster_has_lost_is_for_the_scheduler(cluster: ReapiCluster, subject: ReapiSubject) -> None:
    cluster.broken_streams, cluster.forgets_jobs = 1, True
    failure = _ask(subject, subject.concat("out", "text"))
    assert isinstance(failure, Failure)
    assert failure.fault is Fault.LOST
    assert "lost an action" in failure.message


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        (Code.RESOURCE_EXHAUSTED, Fault.THROTTLED),
        (Code.INVALID_ARGUMENT, Fault.TOO_BIG),
        (Code.DATA_LOSS, Fault.INFRA),
        (Code.CANCELLED, Fault.CANCELLED),
    ],
)
def test_what_a_refusal_means(cluster: ReapiCluster, subject: ReapiSubject, code: Any, fault: Fault) -> None:
    cluster.refuse["Execute"] = [(code, "not now")]
    failure = _ask(subject, subject.concat("out", "text"))
    assert isinstance(failure, Failure)
    assert (failure.fault, failure.setup) == (fault, None)
    assert "not now" in failure.message
    assert isinstance(_ask(subject, subject.concat("out", "text")), Reduction)  # nothing of it was kept


def test_a_busy_moment_is_waited_for(cluster: ReapiCluster, subject: ReapiSubject) -> None:
    cluster.refuse["FindMissingBlobs"] = [(Code.UNAVAILABLE, "busy")] * 2
    cluster.refuse["Execute"] = [(Code.UNAVAILABLE, "busy")] * 2
    assert _made(subject, subject.concat("out", "text")) == b"text"


# Set-up that is wrong ends the run: what is told, and with which status


def _opening(subject: ReapiSubject) -> GGError:
    with pytest.raises(GGError) as raised:
        subject.engine().close()
    return raised.value


def _setup(subject: ReapiSubject) -> GGError:
    failure = _ask(subject, subject.concat("out", "text"))
    assert isinstance(failure, Failure)
    assert failure.setup is not None
    return failure.setup


def test_a_wrong_instance(subject: ReapiSubject) -> None:
    subject.cluster = subject.cluster._replace(instance="nowhere")
    error = _opening(subject)
    assert "has no instance 'nowhere'" in error.what
    assert error.exit_code == SetupError.exit_code


def test_an_expired_token(cluster: ReapiCluster, subject: ReapiSubject) -> None:
    cluster.token = "Bearer new"
    subject.cluster = subject.cluster._replace(headers=(("authorization", "Bearer old"),))
    error = _opening(subject)
    assert "the token has expired" in error.what
    assert error.exit_code == AccessError.exit_code
    subject.cluster = subject.cluster._replace(headers=(("authorization", "Bearer new"),))
    assert _made(subject, subject.concat("out", "text")) == b"text"


@pytest.mark.parametrize("method", ["Execute", "GetActionResult", "FindMissingBlobs"])
def test_no_right(cluster: ReapiCluster, subject: ReapiSubject, method: str) -> None:
    cluster.refuse[method] = [(Code.PERMISSION_DENIED, "not for you")]
    error = _setup(subject)
    assert "not for you" in error.what
    assert error.exit_code == AccessError.exit_code


@pytest.mark.parametrize(
    ("lacking", "told"),
    [
        ({"execution_capabilities": m.ExecutionCapabilities(m.SHA256, False)}, "does not run actions"),
        ({"execution_capabilities": m.ExecutionCapabilities(3, True)}, "SHA-256"),
        ({"cache_capabilities": m.CacheCapabilities((3,))}, "SHA-256"),
        ({"low_api_version": m.SemVer(3), "high_api_version": m.SemVer(3, 1)}, "version"),
    ],
)
def test_a_missing_capability(
    cluster: ReapiCluster, subject: ReapiSubject, lacking: dict[str, object], told: str
) -> None:
    cluster.capabilities = cluster.capabilities._replace(**lacking)  # type: ignore[arg-type]
    error = _opening(subject)
    assert told in error.what
    assert error.exit_code == SetupError.exit_code


@pytest.mark.parametrize("size", [100, 3 << 20])
def test_a_full_store(cluster: ReapiCluster, subject: ReapiSubject, size: int) -> None:
    file = subject.graph.file("a", bytes(range(100)) * (size // 100))
    _made(subject, subject.concat("one", "1"))
    cluster.room = sum(map(len, cluster.blobs.values()))
    failure = _ask(subject, subject.concat("out", "text", file))
    assert isinstance(failure, Failure)
    assert isinstance(failure.setup, NoRoom)
    assert "is full: no room is left" in failure.setup.what
    assert failure.setup.exit_code == 74


def test_nobody_there(subject: ReapiSubject) -> None:
    (port,) = free_ports(1)
    subject.cluster = subject.cluster._replace(address=f"127.0.0.1:{port}")
    assert _opening(subject).exit_code == Unreachable.exit_code


# TLS


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the certificates of an authority, of a server on loopback, and of a client."""
    where = tmp_path_factory.mktemp("tls")
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    for name in ("ca", "other"):
        subprocess.run(
            [*new, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem"],
            cwd=where,
            check=True,
            capture_output=True,
        )
    for name in ("server", "client"):
        subprocess.run(
            [
                *new,
                "-subj",
                f"/CN={name}",
                "-addext",
                "subjectAltName=IP:127.0.0.1",
                "-CA",
                "ca.pem",
                "-CAkey",
                "ca.key",
                "-addext",
                "basicConstraints=critical,CA:FALSE",
                "-keyout",
                f"{name}.key",
                "-out",
                f"{name}.pem",
            ],
            cwd=where,
            check=True,
            capture_output=True,
        )
    return where


def test_tls_both_ways(authority: Path, tmp_path: Path) -> None:
    pem = {path.name: path.read_bytes() for path in authority.iterdir()}
    credentials = grpc.ssl_server_credentials([(pem["server.key"], pem["server.pem"])], pem["ca.pem"], True)
    cluster = ReapiCluster(tls=credentials)
    try:
        trusted = ClusterConfig(f"127.0.0.1:{cluster.port}", relative=True, ca=pem["ca.pem"])
        subject = ReapiSubject(tmp_path, trusted._replace(certificate=pem["client.pem"], key=pem["client.key"]))
        assert _made(subject, subject.concat("out", "text")) == b"text"
        for wrong in (trusted, subject.cluster._replace(ca=pem["other.pem"])):
            subject.cluster = wrong
            assert isinstance(_opening(subject), SetupError)
        assert "no trusted connection" in _opening(subject).what
    finally:
        cluster.close()


# What is said with each call


def test_priority_platform_and_who_asks(cluster: ReapiCluster, subject: ReapiSubject) -> None:
    subject.cluster = subject.cluster._replace(priority=-5, platform=(("OSFamily", "linux"),))
    _made(subject, subject.concat("out", "text"))
    (request,) = cluster.requests
    assert request.execution_policy == m.ExecutionPolicy(-5)
    (action,) = cluster.actions
    assert action.platform == m.Platform((m.Property("OSFamily", "linux"),))


def test_an_older_version_is_told_which_outputs_are_directories(cluster: ReapiCluster, subject: ReapiSubject) -> None:
    cluster.capabilities = cluster.capabilities._replace(high_api_version=m.SemVer(2, 0))
    assert _made(subject, subject.concat("out", "text")) == b"text"


def test_an_answer_of_a_cancelled_attempt_is_nobodys(cluster: ReapiCluster, subject: ReapiSubject) -> None:
    engine = subject.engine()
    try:
        answers = Answers(engine, subject.graph)
        answers.submit(1, subject.hang("one"))
        EngineSuite.until_hanging(subject, answers, 1)
        engine.cancel(1)
        result = answers.next().result
        assert isinstance(result, Failure)
        assert result.fault is Fault.CANCELLED
        EngineSuite.until_hanging(subject, answers, 0)
        assert "CancelOperation" in cluster.calls
    finally:
        engine.close()


# Settings


def test_urls() -> None:
    assert parse_url("grpcs://cluster.example") == ("cluster.example:443", True, "")
    assert parse_url("grpc://127.0.0.1:50051/main/two") == ("127.0.0.1:50051", False, "main/two")
    assert parse_url("grpc://[::1]:1") == ("[::1]:1", False, "")
    for wrong in (
        "",
        "cluster",
        "http://a",
        "grpcs://",
        "grpcs://a:port",
        "grpcs://u@a",
        "grpcs://a?b",
        "grpc://far:1",
    ):
        with pytest.raises(UsageError):
            parse_url(wrong)


def _cluster(variables: dict[str, str] | None = None, **settings: object) -> ClusterConfig:
    found: Callable[[str], str] = lambda name: (variables or {}).get(name, "")  # noqa: E731
    return cluster_of(Settings(**{"reapi": "grpcs://a", **settings}), found)  # type: ignore[arg-type]


def test_secrets_are_in_the_environment_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("abc\n")
    made = _cluster(
        {"T": "xyz"}, reapi_headers=("Authorization: Bearer $T", f"x-key: @{tmp_path}/token", "x-plain: a:b")
    )
    assert made.headers == (("authorization", "Bearer xyz"), ("x-key", "abc"), ("x-plain", "a:b"))
    for wrong in ("authorization: Bearer $T", f"x-key: @{tmp_path}/none"):
        with pytest.raises(AccessError):
            _cluster(reapi_headers=(wrong,))


def test_settings_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "pem").write_text("pem")
    assert _cluster(reapi_root="relative", reapi_platform=("b=2", "a=1")).platform == (("a", "1"), ("b", "2"))
    for wrong in (
        {"reapi": ""},
        {"reapi_root": "/root"},
        {"reapi_platform": ("linux",)},
        {"reapi_headers": ("no value",)},
        {"reapi_certificate": str(tmp_path / "pem")},
    ):
        with pytest.raises(UsageError):
            _cluster(**wrong)
    with pytest.raises(AccessError):
        _cluster(reapi_ca=str(tmp_path / "none"))


def test_a_start_that_is_told_after_the_end_is_nobodys(
    cluster: ReapiCluster, subject: ReapiSubject, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The cluster says that an action runs when its attempt is cancelled already."""
    told = threading.Event()

    def run(execution: Execution, action: m.Digest, handle: Any, started: Callable[[], None], **_: object) -> None:
        told.set()
        handle.sleep(60)
        started()
        raise ActionCancelled

    monkeypatch.setattr(Execution, "run", run)
    engine = subject.engine()
    try:
        answers = Answers(engine, subject.graph)
        answers.submit(1, subject.concat("out", "text"))
        assert told.wait(60)
        engine.cancel(1)
        assert isinstance(answers.next().result, Failure)
    finally:
        engine.close()
    assert not caplog.records
