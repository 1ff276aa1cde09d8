"""`python -m tests.servers.lambda_service`: the service until its standard input ends or it is told to stop.

`--config JSON` is `Config.dump()`; the options are for people. The first line of its output is the port.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import shutil
import signal
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from tests.servers.lambda_service.auth import Identity
from tests.servers.lambda_service.config import Config
from tests.servers.lambda_service.http import serve
from tests.servers.lambda_service.service import Service


def _config(arguments: list[str]) -> Config:
    parser = argparse.ArgumentParser(prog="python -m tests.servers.lambda_service", description="A Lambda on loopback.")
    parser.add_argument("--config", type=Config.load, default=Config(), help="all settings as JSON")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--fast", default="", metavar="MODULE:NAME", help="a worker in place of the sandbox")
    parser.add_argument("--access-key", default="AKIDEXAMPLE")
    parser.add_argument("--secret-key", default="secret")
    options = parser.parse_args(arguments)
    config: Config = options.config
    changes = {name: getattr(options, name) for name in ("port", "fast") if getattr(options, name)}
    identity = Identity(access_key=options.access_key, secret_key=options.secret_key)
    return replace(config, **changes, identities=config.identities or (identity,))


async def _run(config: Config) -> None:
    directory = Path(tempfile.mkdtemp(prefix="gg-lambda-service-"))
    directory.chmod(0o755)
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if config.fast:
        os.environ.update(config.worker_environment)
    service = Service(config, directory)
    server, port = await serve(service.handle, config.port)
    tidy = loop.create_task(service.tidy())
    print(port, flush=True)
    try:
        if not sys.stdin.isatty():
            loop.run_in_executor(None, _end_of_input, loop, stop)
        await stop.wait()
    finally:
        tidy.cancel()
        server.close()
        await service.close()
        shutil.rmtree(directory, ignore_errors=True)


def _end_of_input(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    while os.read(0, 1 << 16):
        pass
    loop.call_soon_threadsafe(stop.set)


if __name__ == "__main__":
    gc.set_threshold(100_000)
    asyncio.run(_run(_config(sys.argv[1:])))
