"""Workers that listen on loopback, as processes of their own: started as a person would, and started again when they die."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.project import SCRIPTS, SECONDS, Project

_LINE = re.compile(rb"gg-force --engine (remote=\S+)")


def find_line(said: bytes) -> str:
    """What is to be pasted, of what a worker says when it starts."""
    found = _LINE.search(said)
    assert found, said
    return found[1].decode()


class Worker:
    """`gg worker --listen` with a home of its own. `line`: what it says is to be pasted, without the command. `before`: words
    before its command line.
    """

    def __init__(self, home: Path, env: Mapping[str, str], *options: str, before: Sequence[str] = ()) -> None:
        home.mkdir(exist_ok=True)
        self._env = {**env, "HOME": str(home)}
        self._options = options
        self._before = before
        self.deaths = 0
        self._over = False
        self._lock = threading.Lock()
        self._port = "0"
        self._begin()
        self._watch = threading.Thread(target=self._look, daemon=True)
        self._watch.start()

    def _begin(self) -> None:
        self.process = subprocess.Popen(
            [*self._before, SCRIPTS / "gg", "worker", "--listen", f"127.0.0.1:{self._port}", *self._options],
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        said = b"".join([self.process.stdout.readline(), self.process.stdout.readline()])
        self.line = find_line(said)
        self.address = self.line.removeprefix("remote=").partition("/")[0]
        self._port = self.address.partition(":")[2]

    def _look(self) -> None:
        while True:
            _, self.log = self.process.communicate()
            with self._lock:
                if self._over:
                    return
                self.deaths += 1
                self._begin()

    def kill(self) -> None:
        """As when the power goes; it is started again."""
        self.process.kill()

    def end(self, *, kill: bool = False) -> None:
        """It is not started again."""
        with self._lock:
            self._over = True
            self.process.kill() if kill else self.process.terminate()
        self._watch.join(SECONDS)


@contextmanager
def workers(project: Project, count: int, *options: str) -> Iterator[list[Worker]]:
    """So many, on hosts of their own as far as they know."""
    keep = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    top = project.root.with_name("workers")
    top.mkdir()
    made = [Worker(top / str(n), keep, *options) for n in range(count)]
    try:
        yield made
    finally:
        for worker in made:
            worker.end()
