"""Two users' commands on one warm function, the first of them hostile: nothing read, nothing changed, nothing left.

`intruder.c` does one trick a row. Then another user asks the same environment: to look around, and to run an honest program.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import zstandard

from gg.core.codec import encode_thunk
from gg.core.ids import SandboxPath
from gg.core.reduction import decode_reduction
from gg.core.thunk import File, Output, Thunk, Work
from gg.host.trees import hash_file
from gg.schedule.events import Fault
from gg.wire.reply import Refused, Reply, Succeeded, TaskResult, ToolFailed, asked, decode_outputs, decode_reply
from gg.wire.request import RAW, Request, Task, encode_objects, encode_request
from tests.servers.functions_for_tests import create
from tests.servers.lambda_service.client import LambdaService, lambda_service
from tests.servers.lambda_service.config import Config
from tests.servers.worker_zip import worker_zip

HOSTILE, OTHER = b"h" * 32, b"o" * 32
SECRET = "AKIDofthefunction"
HERE = Path(__file__).parent
MILLISECONDS = 1_500


@dataclass
class Users:
    """The function, and the programs that are run there."""

    service: LambdaService
    programs: Path
    client: Any = field(init=False)

    def __post_init__(self) -> None:
        self.client = self.service.client()

    def ask(self, coordinator: bytes, *tasks: Thunk) -> Reply | str:
        """The reply, or the error that the function ended with."""
        files = {f for task in tasks for f in task.entries if isinstance(f, File)}
        request = encode_request(
            Request(
                tuple([Task(encode_thunk(task), (), MILLISECONDS) for task in tasks]),
                objects=encode_objects([(0, Path(os.fsdecode(f.path)).read_bytes()) for f in files]),
                coordinator=coordinator,
            )
        )
        event = json.dumps(base64.b64encode(request).decode())
        answer = self.client.invoke(FunctionName="f", Payload=event)
        payload = json.loads(answer["Payload"].read())
        if answer.get("FunctionError"):
            return str(payload["errorMessage"])
        return decode_reply(base64.b64decode(payload), asked(request))

    def thunk(self, name: str, *arguments: str, also: tuple[str, ...] = ()) -> Thunk:
        program = self.programs / name
        paths = [program, *libraries(program), *[self.programs / each for each in also]]
        return Thunk(
            argv=tuple([os.fsencode(each) for each in (name, *arguments)]),
            program=SandboxPath(os.fsencode(program)),
            cwd=SandboxPath(os.fsencode(self.programs)),
            env=((b"LC_ALL", b"C"),),
            entries=tuple(sorted([declared(path) for path in paths], key=lambda f: f.path)),
            groups=(),
            outputs=tuple(
                [Output(SandboxPath(os.fsencode(self.programs / n)), optional=True) for n in ("out", "out2")]
            ),
            work=Work.OTHER,
            model="test/1",
        )

    def digest(self, name: str) -> str:
        return hash_file(str(self.programs / name)).digest.hex()


def declared(path: Path) -> File:
    return File(SandboxPath(os.fsencode(path)), hash_file(str(path)), os.access(path, os.X_OK))


def libraries(program: Path) -> list[Path]:
    """The loader that a program names, and its C library."""
    said = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout.split()
    return [Path(word) for word in said if word.startswith("/")]


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Users]:
    where = tmp_path_factory.mktemp("intruder").resolve()
    subprocess.run(
        ["cc", "-std=gnu11", "-O1", "-Wall", "-Werror", HERE / "intruder.c", "-o", where / "intruder"], check=True
    )
    (where / "honest.c").write_text('#include <stdio.h>\nint main(void) { puts("honest"); return 0; }\n')
    subprocess.run(["cc", where / "honest.c", "-o", where / "honest"], check=True)
    (where / "private").write_text("of the hostile user, but no business of the other's\n")
    secret = (("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", SECRET), ("AWS_SESSION_TOKEN", SECRET))
    with lambda_service(Config(worker_environment=secret)) as service:
        create(service.client(), code=worker_zip(), Handler="gg.worker.handler.handler", MemorySize=1024, Timeout=30)
        yield Users(service, where)


RUNS, ENDS = "runs", "ends"
TRICKS: dict[str, str | Fault] = {
    "environments": RUNS,
    "memory": RUNS,
    "poison": RUNS,
    "swap": RUNS,
    "replace": RUNS,
    "plant": RUNS,
    "files": RUNS,
    "modes": Fault.INFRA,
    "libraries": RUNS,
    "map-link": RUNS,
    "ipc": RUNS,
    "queue": RUNS,
    "input": RUNS,
    "marks": RUNS,
    "worker-files": RUNS,
    "outlive": RUNS,
    "outrun": RUNS,
    "multiply": RUNS,
    "listen": RUNS,
    "poison-later": RUNS,
    "evade": Fault.TIMEOUT,
    "lead-out": RUNS,
    "overlay": ENDS,
    "report": RUNS,
    "lie": RUNS,
    "map": Fault.INFRA,
    "say-much": Fault.TOO_BIG,
    "write-much": Fault.TOO_BIG,
    "move-away": ENDS,
    "move-objects": ENDS,
    "limit-hard": ENDS,
    "limit-soft": RUNS,
    "slow-down": ENDS,
    "output": RUNS,
}
"""What becomes of the hostile command itself: it runs, its environment ends with it, or it is refused."""


DEFENCES: dict[str, str] = {
    "environments": "gg.worker.hidden.hide, or gg.worker.hidden.take: either is enough",
    "memory": "gg.worker.hidden.hide",
    "poison": "gg.worker.disk_cache.Cache.doubt",
    "swap": "gg.worker.disk_cache.Cache.doubt",
    "replace": "gg.worker.disk_cache.Cache.names: what is no file is not kept",
    "plant": "gg.worker.serve.Worker.__init__: objects are put back",
    "files": "gg.worker.serve.Worker.__init__, gg.worker.between.Between.__init__: places that are put back",
    "modes": "gg.worker.writable.Writable.restored: mode and attributes",
    "libraries": "gg.run.elsewhere.Elsewhere.doubt",
    "map-link": "gg.run.elsewhere._is_plain",
    "ipc": "gg.worker.ipc.remove_all",
    "queue": "gg.worker.hidden.hide: no POSIX queues",
    "input": "gg.run.process.Slot.run: files of its own for each command",
    "marks": "gg.worker.disk_cache.Cache.doubt, gg.worker.writable.Writable.restored",
    "worker-files": "gg.worker.hidden.hide, gg.worker.own_limits.OwnLimits.restored: where the files are this user's",
    "outlive": "gg.run.ending.end_descendants",
    "outrun": "gg.run.ending.end_descendants",
    "multiply": "gg.run.ending.end_descendants, gg.worker.hidden.hide: a subreaper",
    "listen": "gg.run.ending.end_descendants",
    "poison-later": "gg.worker.between.Between.end: before anything is looked at",
    "evade": "gg.run.process.Slot.kill: the process too, not its group alone",
    "lead-out": "gg.run.report.link_inside",
    "overlay": "gg.worker.writable.Writable.restored: the same directory",
    "report": "gg.run.report.read_scratch: a file, and without waiting",
    "lie": "gg.run.report.read_scratch: so many bytes",
    "map": "gg.run.report.read_scratch: a file, and without waiting",
    "say-much": "gg.run.process.TooMuch",
    "write-much": "gg.worker.serve.Worker._keep",
    "move-away": "gg.worker.writable.Writable.restored: the same directory, or an error: either is enough",
    "move-objects": "gg.worker.writable.Writable.restored: the same directory",
    "limit-hard": "gg.worker.own_limits.OwnLimits.restored",
    "limit-soft": "gg.worker.own_limits.OwnLimits.restored",
    "slow-down": "gg.worker.own_limits.OwnLimits.restored",
    "output": "gg.run.process.Slot.run: files of its own for each command",
}
"""What holds each off. Without that line the row was seen to fail; where either of two is enough, without both."""


SAMPLE = (
    "environments",
    "memory",
    "poison",
    "files",
    "ipc",
    "outrun",
    "poison-later",
    "lead-out",
    "overlay",
    "limit-soft",
)


def test_each_trick_has_a_defence_that_is_there() -> None:
    assert DEFENCES.keys() == TRICKS.keys()
    for text in DEFENCES.values():
        for name in text.partition(":")[0].replace(" or ", " ").split(", "):
            module = next(each for each in prefixes(name.strip()) if find_spec(each))
            there: object = import_module(module)
            for part in name.strip().removeprefix(module + ".").split("."):
                there = getattr(there, part)


def prefixes(name: str) -> list[str]:
    """What of a dotted name may be a module, the longest first."""
    parts = name.split(".")
    return [".".join(parts[:length]) for length in (3, 2)]


@pytest.mark.parametrize(
    "trick", [pytest.param(each, marks=() if each in SAMPLE else pytest.mark.slow) for each in TRICKS]
)
def test_nothing_comes_over(users: Users, trick: str) -> None:
    mine = [users.digest(name) for name in ("intruder", "honest")]
    mine += [hash_file(str(path)).digest.hex() for path in libraries(users.programs / "honest")]
    before = users.ask(HOSTILE, users.thunk("honest"))
    assert isinstance(before, Reply)
    reply = users.ask(HOSTILE, users.thunk("intruder", "do", trick, users.digest("honest"), also=("honest", "private")))
    check(reply, TRICKS[trick])
    own = [*mine, users.digest("private")]
    again = users.ask(HOSTILE, users.thunk("intruder", "look", *own, also=("honest",)), users.thunk("honest"))
    assert isinstance(again, Reply)
    assert [words(result) for result in again.results] == [(0, b"", b""), (0, b"honest\n", b"")], "of the same user"
    after = users.ask(OTHER, users.thunk("intruder", "look", *mine), users.thunk("honest"))
    assert isinstance(after, Reply)
    assert [words(result) for result in after.results] == [(0, b"", b""), (0, b"honest\n", b"")]
    assert (after.worker.name == before.worker.name) == (TRICKS[trick] != ENDS), "the same environment, unless it ended"


def check(reply: Reply | str, expected: str | Fault) -> None:
    """The hostile command could try what it was to try, and got nothing for it. Not even time: who takes all that the function
    has gets the platform's own words.
    """
    if expected == ENDS:
        assert isinstance(reply, str), reply
        assert "Runtime exited" in reply
        return
    assert isinstance(reply, Reply), reply
    (result,) = reply.results
    if isinstance(expected, Fault):
        assert isinstance(result, Refused), result
        assert result.fault is expected, result
    elif isinstance(result, Refused):  # some of what it spoilt were its own inputs: which ones, the tests before decide
        assert result.message == "worker: inputs were changed while it ran", result
    else:
        assert words(result) == (0, b"", b"")
    for data in decode_outputs(reply.objects if reply.codec == RAW else zstandard.decompress(reply.objects)):
        assert b"AWS_" not in data
        assert b"Name:" not in data, "its /proc/self/status"


def words(result: TaskResult) -> tuple[int, bytes, bytes]:
    """Status and what was printed."""
    if isinstance(result, ToolFailed):
        return result.status, result.stdout, result.stderr
    assert isinstance(result, Succeeded), result
    reduction = decode_reduction(result.reduction, None)
    return 0, reduction.stdout, reduction.stderr
