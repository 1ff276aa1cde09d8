"""`gg worker`: run thunks for other machines."""

from __future__ import annotations

import os
import socket
import sys
from typing import TYPE_CHECKING, Any

import click

from gg.errors import UsageError

if TYPE_CHECKING:
    from gg.worker.serving import WorkerOptions


@click.command("gg worker", context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--listen",
    metavar="[HOST:]PORT",
    is_flag=False,
    flag_value="",
    help="Take work from whoever connects with this worker's key (default: every address, port 7177).",
)
@click.option(
    "--queue", metavar="NAME|URL", help="Take work from this queue of SQS; inputs and outputs go by the bucket."
)
@click.option(
    "--exchange",
    metavar="ADDRESS[:PORT]",
    help="With --queue: serve what is kept here to the fleet's other workers at this address of this machine, and ask them.",
)
@click.option("--region", metavar="REGION", help="Where the queue is (default: as AWS is configured).")
@click.option(
    "--jobs", "-j", type=click.IntRange(1, 4096), help="How many thunks to run at once (default: processors)."
)
@click.option(
    "--memory", metavar="SIZE", help="What all of them may take together (default: nine tenths of what there is)."
)
@click.option("--cache", metavar="SIZE", help="How much of inputs to keep on disk (default: most of what is free).")
@click.option("--directory", metavar="DIR", help="Where to keep inputs and to work (default: below the user's cache).")
@click.option(
    "--idle", metavar="SECONDS", type=click.FloatRange(min=0), default=0.0, help="End after so long without work."
)
@click.option(
    "--grace",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    default=100.0,
    help="How long what runs may go on after SIGTERM (default: 100).",
)
@click.option(
    "--exposed", is_flag=True, help="Take work even where this kernel cannot keep what thunks run from the network."
)
@click.option(
    "--print",
    "printed",
    type=click.Choice(["systemd", "container", "kubernetes"]),
    help="Print what runs a worker with these options elsewhere: a unit, a Containerfile, a deployment.",
)
@click.option(
    "--new-key", is_flag=True, help="Make another certificate and key: nobody who has the old one gets in any more."
)
def command(new_key: bool, printed: str | None, **given: Any) -> None:
    """Run thunks for other machines, on this one.

    \b
    gg worker --listen                      here; prints a line to paste there:
    gg-force --engine remote=HOST/KEY       there, the first time; then --engine remote=HOST
    """
    _check_one_place(given["listen"], given["queue"], given["exchange"])
    options = _options(**given)
    if printed:
        click.echo(_service(printed, given), nl=False)
    else:
        _serve(options, new_key)


def _service(kind: str, given: dict[str, Any]) -> str:
    """UsageError if a worker with these options cannot run there."""
    from click.core import ParameterSource

    from gg.deploy.service_files import containerfile, kubernetes_manifest, systemd_unit

    names = ("listen", "queue", "exchange", "region", "jobs", "memory", "cache", "idle", "grace")
    source = click.get_current_context().get_parameter_source
    said = [name for name in names if source(name) is ParameterSource.COMMANDLINE]
    words = [f"--{name}" if given[name] == "" else f"--{name}={given[name]}" for name in said]
    words += ["--exposed"] * given["exposed"]
    if kind == "container":
        return containerfile(words)
    if kind == "kubernetes":
        if not given["queue"] or given["exchange"] is not None:
            raise UsageError(
                "workers on Kubernetes read a queue, each at its pod's address",
                hint="gg worker --print kubernetes --queue NAME --region R",
            )
        return kubernetes_manifest(words, given["grace"])
    program = os.path.join(os.path.dirname(os.path.abspath(sys.argv[0])), "gg")
    if program.startswith(("/home/", "/root/", "/run/user/", "/tmp/")):
        _say(f"a unit does not see {program}: install gg below /opt, for instance, and change the path")
    return systemd_unit([program, "worker", *words], given["grace"])


def _options(
    listen: str | None,
    queue: str | None,
    exchange: str | None,
    region: str | None,
    jobs: int | None,
    memory: str | None,
    cache: str | None,
    directory: str | None,
    idle: float,
    grace: float,
    exposed: bool,
) -> WorkerOptions:
    from gg.host.machine import processors
    from gg.worker import serving
    from gg.workspace import homes
    from gg.workspace.setting_values import size

    return serving.WorkerOptions(
        os.path.abspath(directory or os.path.join(homes.cache_home(), "worker")),
        *_place(listen or ""),
        cpus=jobs or processors(),
        memory=size(memory, "--memory") if memory else _memory(),
        cache=size(cache, "--cache") if cache else 0,
        idle=idle,
        grace=grace,
        queue=queue or "",
        region=region or "",
        metadata=_metadata() if queue else "",
        exposed=exposed,
        exchange=_exchange(exchange),
    )


def _serve(options: WorkerOptions, new_key: bool) -> None:
    """Take work until there has been none for long enough, or a signal comes."""
    from gg.worker import serving
    from gg.worker.identity import load_identity
    from gg.workspace import homes

    if options.queue:
        with _Lock(options.directory):
            serving.run(options, None, lambda port: None, _say)
        return
    identity = load_identity(os.path.join(homes.home(), "worker"), renew=new_key)
    with _Lock(options.directory):
        serving.run(options, identity, lambda port: _ready(options.host, port, identity.key.text), _say)


def _place(text: str) -> tuple[str, int]:
    from gg.engines.remote.hosts import PORT, parse_host

    if not text:
        return "", PORT
    if text.isascii() and text.isdigit():
        return "", int(text)
    host, port, key = parse_host(text, 0)
    if key:
        raise UsageError(
            f"{text!r} is no address to listen on", hint="--listen HOST:PORT, --listen PORT, or --listen alone"
        )
    return host, port


def _check_one_place(listen: str | None, queue: str | None, exchange: str | None) -> None:
    """UsageError."""
    if (listen is None) == (queue is None):
        raise UsageError("a worker takes work from one place", hint="gg worker --listen, or gg worker --queue NAME")
    if exchange is not None and queue is None:
        raise UsageError(
            "--exchange is for workers that read a queue", hint="gg worker --queue NAME --exchange ADDRESS"
        )


def _exchange(text: str | None) -> tuple[str, int] | None:
    """An address, and a port or 0 for any."""
    import ipaddress

    if text is None:
        return None

    host, _, port = text.rpartition(":") if text.endswith(tuple("0123456789")) and "]:" in text else (text, "", "")
    if not host.startswith("[") and host.count(":") == 1:
        host, _, port = host.partition(":")
    try:
        number = int(port or 0)
        if 0 <= number < 1 << 16:
            return str(ipaddress.ip_address(host.strip("[]"))), number
    except ValueError:
        pass
    raise UsageError(
        f"{text!r} is no address of this machine",
        hint="an IP address, with a port or without: --exchange 10.0.0.5:7178",
    )


def _metadata() -> str:
    from gg.worker.notice import ADDRESS
    from gg.workspace import settings as config

    return config.aws_variables().get("AWS_EC2_METADATA_SERVICE_ENDPOINT", ADDRESS)


def _memory() -> int:
    from gg.host.machine import memory_total

    return (memory_total() or 4 << 30) * 9 // 10


class _Lock:
    """The lock on a worker's directory. UsageError if another worker has it."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._fd = -1

    def __enter__(self) -> None:
        import fcntl

        os.makedirs(self._directory, mode=0o700, exist_ok=True)
        self._fd = os.open(os.path.join(self._directory, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError(
                f"another worker works in {self._directory}", hint="give this one another: --directory DIR"
            ) from None

    def __exit__(self, *error: object) -> None:
        os.close(self._fd)


def _ready(host: str, port: int, key: str) -> None:
    from gg.engines.remote.hosts import host_name

    name = host if host not in ("", "0.0.0.0", "::") else socket.gethostname()
    print("This worker takes work from whoever has its key. On the machine that builds:", flush=True)
    print(f"    gg-force --engine remote={host_name(name, port)}/{key}", flush=True)


def _say(text: str) -> None:
    sys.stderr.write(f"gg worker: {text}\n")
    sys.stderr.flush()
