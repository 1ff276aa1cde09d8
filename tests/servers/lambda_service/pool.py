"""The sandboxes of all functions: idle ones are used first, the one used last before the others; new ones are started a few at
a time, for a machine with two cores is no region with thousands, and the wait is nobody's fault."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import defaultdict
from collections.abc import Mapping

from tests.servers.lambda_service.config import Config
from tests.servers.lambda_service.functions import Function, Shelf
from tests.servers.lambda_service.sandbox import Sandbox, Spec

_STARTS_AT_ONCE = 4


class Pool:
    """Hands out sandboxes; what is handed out comes back by `put`."""

    def __init__(self, config: Config, shelf: Shelf) -> None:
        self._config = config
        self._shelf = shelf
        self._idle: defaultdict[tuple[str, int], list[tuple[float, Sandbox]]] = defaultdict(list)
        self._all: set[Sandbox] = set()
        self._numbers = itertools.count(1)
        self._starting = asyncio.Semaphore(_STARTS_AT_ONCE)
        self._closing: set[asyncio.Task[None]] = set()

    def take_idle(self, function: Function) -> Sandbox | None:
        """One that waits for work, if there is one that still can."""
        waiting = self._idle[function.name, function.generation]
        while waiting:
            _, sandbox = waiting.pop()
            if sandbox.usable:
                return sandbox
            self._discard(sandbox)
        return None

    async def start(self, function: Function) -> Sandbox:
        """A new one, ready for its first call, or for saying why it cannot be."""
        async with self._starting:
            await asyncio.sleep(self._config.cold_start_s)
            sandbox = Sandbox(self._spec(function), f"{next(self._numbers):06x}")
            self._all.add(sandbox)
            await sandbox.start()
            return sandbox

    def put(self, function: Function, sandbox: Sandbox, generation: int) -> None:
        """Take one back: for the next call, unless it is broken or its function has changed."""
        if sandbox.usable and generation == function.generation and function.name in self._shelf.functions:
            self._idle[function.name, generation].append((time.monotonic(), sandbox))
        else:
            self._discard(sandbox)

    def expire(self, older_than: float) -> None:
        """Drop those that nobody used since then, and those of what is changed or deleted."""
        for (name, generation), waiting in list(self._idle.items()):
            function = self._shelf.functions.get(name)
            current = function is not None and function.generation == generation
            kept = [(since, s) for since, s in waiting if current and since >= older_than]
            for since, sandbox in waiting:
                if (since, sandbox) not in kept:
                    self._discard(sandbox)
            self._idle[name, generation] = kept

    async def close(self) -> None:
        await asyncio.gather(*(sandbox.close() for sandbox in self._all), *self._closing)
        self._all.clear()

    def __len__(self) -> int:
        return len(self._all)

    def _discard(self, sandbox: Sandbox) -> None:
        if sandbox in self._all:
            self._all.discard(sandbox)
            task = asyncio.get_running_loop().create_task(sandbox.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def _spec(self, function: Function) -> Spec:
        variables: Mapping[str, str] = {**function.variables, **dict(self._config.worker_environment)}
        return Spec(
            name=function.name,
            arn=function.arn,
            handler=function.settings["Handler"],
            task=function.code.directory,
            layers=self._shelf.opt(function),
            memory_mb=function.memory_mb,
            disk_mb=function.disk_mb,
            environment=tuple(variables.items()),
            share_cpu=self._config.share_cpu,
            region=self._config.region,
        )
