"""One execution environment: a Python with awslambdaric in bubblewrap, as little able to do as in Lambda.

Unprivileged, read-only root (`image`), a `/tmp` of a fixed size, no namespaces of its own, no ptrace (`seccomp`), memory that is
watched (`cell`), frozen between invocations. After a timeout, a crash or an answer that was too large it is not used again.

The network is the host's: the Runtime API and the S3 server are on its loopback.
"""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import signal
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tests.servers.lambda_service import cell, seccomp
from tests.servers.lambda_service.image import DEVICES, PYTHON, image
from tests.servers.lambda_service.runtimeapi import Answer, Call, RuntimeApi, failure

_INIT_S, _WATCH_S, _LOG_TAIL = 10.0, 0.05, 64 << 10
_FILES, _REMOVALS = 1024, 100
_MB = 1 << 20
_LAUNCH = """
import os, sys
variables = os.read(int(sys.argv[1]), 1 << 20)
os.close(int(sys.argv[1]))
os.execve(sys.argv[2], sys.argv[2:], dict(each.split(b"=", 1) for each in variables.split(b"\\0")))
"""
_LIBRARIES = "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What a sandbox is made from."""

    name: str
    arn: str
    handler: str
    task: Path
    layers: Path | None
    memory_mb: int
    disk_mb: int
    environment: tuple[tuple[str, str], ...]
    share_cpu: bool = False
    region: str = "us-east-1"

    def variables(self, api: str, stream: str) -> dict[str, str]:
        """The environment of the runtime: the function's own, and what Lambda sets whatever the function says."""
        return {
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
            "LD_LIBRARY_PATH": _LIBRARIES,
            **dict(self.environment),
            "PYTHONPATH": "/opt/python:/var/runtime",
            "LAMBDA_TASK_ROOT": "/var/task",
            "LAMBDA_RUNTIME_DIR": "/var/runtime",
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{PYTHON}",
            "AWS_LAMBDA_FUNCTION_NAME": self.name,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(self.memory_mb),
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{self.name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": stream,
            "AWS_LAMBDA_RUNTIME_API": api,
            "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
            "AWS_XRAY_DAEMON_ADDRESS": "169.254.100.1:2000",
            "_AWS_XRAY_DAEMON_ADDRESS": "169.254.100.1",
            "_AWS_XRAY_DAEMON_PORT": "2000",
            "_HANDLER": self.handler,
        }


class Ran(NamedTuple):
    """One invocation's end: the answer, the log's lines, seconds, and bytes at most."""

    answer: Answer
    log: bytes
    took_s: float
    memory: int


class Sandbox:
    """Started once, invoked many times, one call at a time; `alive` says whether it may be used again."""

    def __init__(self, spec: Spec, number: str) -> None:
        self.spec = spec
        self.number = number
        self.init_s = 0.0
        self.alive = True
        self._api = RuntimeApi(self._idle)
        self._log = bytearray()
        self._working = True
        self._peak = 0
        self._out_of_memory = False

    async def start(self) -> None:
        """Have a runtime that waits for work, or that said why it cannot: see `invoke`."""
        started = time.monotonic()
        await self._api.open()
        spec = self.spec
        self._home = Path(tempfile.mkdtemp(prefix="gg-lambda-"))
        groups = cell.make_groups(self.number, spec.memory_mb, spec.disk_mb, share_cpu=spec.share_cpu)
        variables = spec.variables(f"127.0.0.1:{self._api.port}", f"2026/01/01/[$LATEST]{self.number}")
        filter_fd = _as_file(seccomp.program())
        variables_fd = _as_file(b"\0".join([f"{name}={value}".encode() for name, value in variables.items()]))
        try:
            self._process = await asyncio.create_subprocess_exec(
                *_bubblewrap(spec, filter_fd, variables_fd),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env={"PATH": os.defpath},
                cwd=self._home,
                pass_fds=(filter_fd, variables_fd),
                preexec_fn=lambda: _confine(groups),
            )
        finally:
            os.close(filter_fd)
            os.close(variables_fd)
        self._cell = cell.Cell(self._process.pid, groups)
        self._reader = asyncio.create_task(self._read_log())
        self._exit = asyncio.create_task(self._process.wait())
        ready = asyncio.create_task(self._api.ready.wait())
        await asyncio.wait((ready, self._exit), timeout=_INIT_S, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        self.init_s = time.monotonic() - started

    @property
    def usable(self) -> bool:
        """Whether the next call may come here."""
        return self.alive and not self._exit.done()

    async def invoke(self, call: Call, timeout_s: float, trouble: str = "", after_s: float = 0.0) -> Ran:
        """Run one call. `after_s` after it was given, the `trouble` happens: crash, hang or memory."""
        started = time.monotonic()
        self._peak = 0
        answer = await self._answer(call, timeout_s, trouble, after_s)
        took = time.monotonic() - started
        await asyncio.sleep(0)  # what the runtime wrote before it answered is in the pipe by now
        log, self._log = bytes(self._log), bytearray()
        return Ran(answer, log, took, self._peak)

    async def close(self) -> None:
        """End the processes and give back what they used. A frozen process must be killed by hand: it dies of nothing else."""
        self.alive = False
        self._api.close()
        while self._process.returncode is None:
            self._cell.kill()
            await asyncio.wait((self._exit,), timeout=0.1)
        await self._reader
        for _ in range(_REMOVALS):
            if self._cell.removed():
                break
            await asyncio.sleep(0.01)
        shutil.rmtree(self._home, ignore_errors=True)

    async def _answer(self, call: Call, timeout_s: float, trouble: str, after_s: float) -> Answer:
        if self._api.init_error is not None:
            self.alive = False
            return self._api.init_error
        if not self._api.ready.is_set():  # still busy with the last call's end, or it never got so far
            ready = asyncio.create_task(self._api.ready.wait())
            await asyncio.wait((ready, self._exit), timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            ready.cancel()
        if self._exit.done():
            return self._dead(call)
        if not self._api.ready.is_set():
            return self._timed_out(call, timeout_s)
        self._working = True
        fatal = trouble in (
            "crash",
            "hang",
            "memory",
        )  # then an answer that was quicker than the trouble does not count
        self._cell.thaw()
        answer = self._api.give(call)
        watch = asyncio.create_task(self._watch())
        disturber = asyncio.create_task(self._disturb(trouble, after_s))
        try:
            ends: set[asyncio.Future[Any]] = {self._exit} if fatal else {answer, self._exit}
            await asyncio.wait(ends, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            watch.cancel()
            disturber.cancel()
            self._working = False
        self._peak = max(self._peak, self._cell.memory())
        if answer.done() and not fatal:
            return self._answered(answer.result())
        return self._dead(call) if self._exit.done() else self._timed_out(call, timeout_s)

    def _answered(self, answer: Answer) -> Answer:
        self.alive = b"Function.ResponseSizeTooLarge" not in answer.payload[:100]
        if self._api.ready.is_set():
            self._cell.freeze()
        return answer

    def _idle(self) -> None:
        """The runtime waits for work; between invocations it does so frozen."""
        if not self._working:
            self._cell.freeze()

    async def _watch(self) -> None:
        """Kill the biggest process when all together hold more than the function has."""
        limit = self.spec.memory_mb * _MB
        while True:
            held = self._cell.memory()
            self._peak = max(self._peak, held)
            if held > limit and (victim := self._cell.biggest()) is not None:
                self._out_of_memory = True
                cell.send(victim, signal.SIGKILL)
            await asyncio.sleep(_WATCH_S)

    async def _disturb(self, trouble: str, after_s: float) -> None:
        await asyncio.sleep(after_s)
        if trouble == "hang":
            self._cell.freeze()
        elif trouble in ("crash", "memory"):
            self._out_of_memory = trouble == "memory"
            self._cell.kill()

    def _dead(self, call: Call) -> Answer:
        self.alive = False
        status = self._process.returncode or 0
        prefix = f"RequestId: {call.request_id} Error: Runtime exited"
        if self._out_of_memory:
            return failure("Runtime.OutOfMemory", f"{prefix} with error: signal: killed")
        if status in (-signal.SIGKILL, 128 + signal.SIGKILL):
            return failure("Runtime.ExitError", f"{prefix} with error: signal: killed")
        if status == 0:
            return failure("Runtime.ExitError", f"{prefix} without providing a reason")
        return failure("Runtime.ExitError", f"{prefix} with error: exit status {status}")

    def _timed_out(self, call: Call, timeout_s: float) -> Answer:
        self.alive = False
        message = f"RequestId: {call.request_id} Error: Task timed out after {timeout_s:.2f} seconds"
        return failure("Sandbox.Timedout", message)

    async def _read_log(self) -> None:
        assert self._process.stdout is not None
        while data := await self._process.stdout.read(64 << 10):
            self._log += data
            del self._log[:-_LOG_TAIL]


def _confine(groups: tuple[Path, ...]) -> None:
    """Between fork and exec: limits that the sandbox inherits."""
    cell.enter(groups)
    resource.setrlimit(resource.RLIMIT_NOFILE, (_FILES, _FILES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _as_file(data: bytes) -> int:
    """A descriptor at whose beginning the data is."""
    descriptor = os.memfd_create("gg-seccomp")
    os.write(descriptor, data)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _bubblewrap(spec: Spec, filter_fd: int, variables_fd: int) -> list[str]:
    """The command. The variables are for the runtime alone, which reads them from a descriptor: LD_LIBRARY_PATH would turn
    bubblewrap's own loader astray, and whatever runs beside the runtime could see them in bubblewrap's arguments.
    """
    devices = [part for name in DEVICES for part in ("--dev-bind", f"/dev/{name}", f"/dev/{name}")]
    layers = ["--ro-bind", str(spec.layers), "/opt"] if spec.layers else []
    return [
        "bwrap",
        *("--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
        *("--uid", "993", "--gid", "990", "--hostname", "169-254-100-6", "--cap-drop", "ALL"),
        *("--die-with-parent", "--new-session", "--seccomp", str(filter_fd)),
        *("--ro-bind", str(image()), "/", "--proc", "/proc", *devices),
        *("--ro-bind", str(spec.task), "/var/task", *layers),
        "--clearenv",
        *("--size", str(spec.disk_mb * _MB), "--tmpfs", "/tmp", "--chdir", "/var/task"),
        *(f"/var/lang/bin/{PYTHON}", "-ISc", _LAUNCH, str(variables_fd)),
        *(f"/var/lang/bin/{PYTHON}", "-m", "awslambdaric", spec.handler),
    ]
