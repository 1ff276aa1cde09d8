"""A function that does as its event says, zipped for the Lambda service."""

from __future__ import annotations

import io
import time
import zipfile
from typing import Any

from tests.servers.lambda_service.client import ROLE
from tests.servers.lambda_service.image import PYTHON

SOURCE = '''
import errno, os, subprocess, sys, time
calls = 0
ticks = []

def handler(event, context):
    global calls
    calls += 1
    return globals()["do_" + event["do"]](event, context)

def do_echo(event, context):
    return event

def do_context(event, context):
    return {"calls": calls, "arn": context.invoked_function_arn, "left": context.get_remaining_time_in_millis(),
            "memory": context.memory_limit_in_mb, "id": context.aws_request_id, "environment": dict(os.environ)}

def do_print(event, context):
    print(event["text"])
    print("to stderr", file=sys.stderr)

def do_sleep(event, context):
    time.sleep(event["seconds"])
    return calls

def do_raise(event, context):
    raise ValueError(event["text"])

def do_exit(event, context):
    os._exit(event["status"])

def do_big(event, context):
    return "x" * event["size"]

def do_memory(event, context):
    held = [bytearray(os.urandom(1 << 20)) * 1 for _ in range(event["mb"])]
    return len(held)

def do_child_memory(event, context):
    code = "held = [bytearray(b'x') * (1 << 20) for _ in range(%d)]" % event["mb"]
    return subprocess.run([sys.executable, "-c", code]).returncode

def do_fill(event, context):
    try:
        with open("/tmp/full", "wb") as file:
            for _ in range(event["mb"]):
                file.write(b"x" * (1 << 20))
    except OSError as error:
        return errno.errorcode[error.errno]
    finally:
        os.unlink("/tmp/full")

def do_tick(event, context):
    """Start a thread that notes the time all the while, and report the longest pause that it has seen."""
    import threading
    if not ticks:
        ticks.append(time.monotonic())
        def run():
            while True:
                ticks.append(time.monotonic()); time.sleep(0.005)
        threading.Thread(target=run, daemon=True).start()
    last, now = ticks[-1], time.monotonic()
    return max([now - last] + [b - a for a, b in zip(ticks, ticks[1:])])

def do_ls(event, context):
    return {d: sorted(os.listdir(d)) for d in event["paths"] if os.path.isdir(d)}

def do_write(event, context):
    found = {}
    for path in event["paths"]:
        try:
            with open(path, "w") as file:
                file.write("x")
            found[path] = "written"
        except OSError as error:
            found[path] = errno.errorcode[error.errno]
    return found

def do_calls(event, context):
    """What the kernel says to each of these: zero, or the error's name."""
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    tries = {
        "unshare": lambda: libc.unshare(0x10000000),
        "chroot": lambda: libc.chroot(b"/tmp"),
        "ptrace": lambda: libc.ptrace(0, 0, 0, 0),
        "mount": lambda: libc.mount(b"none", b"/tmp", b"tmpfs", 0, None),
        "no_new_privs": lambda: libc.prctl(38, 1, 0, 0, 0),
        "seccomp": lambda: libc.prctl(22, 1, 0, 0, 0),
        "fallocate": lambda: libc.fallocate(os.open("/tmp/f", os.O_RDWR | os.O_CREAT), 0, 0, 10),
        "openpty": lambda: os.open("/dev/ptmx", os.O_RDWR),
        "set_name": lambda: libc.prctl(15, b"worker", 0, 0, 0),
        "fork": lambda: subprocess.run(["/bin/true" if os.path.exists("/bin/true") else "/bin/sh", "-c", ":"]).returncode,
    }
    found = {}
    for name, call in tries.items():
        ctypes.set_errno(0)
        try:
            found[name] = "0" if call() >= 0 else errno.errorcode[ctypes.get_errno()]
        except OSError as error:
            found[name] = errno.errorcode[error.errno]
    return {**found, "uid": os.getuid(), "limits": __import__("resource").getrlimit(7)[0]}
'''


def zipped(files: dict[str, str] | None = None, mode: int = 0o644) -> bytes:
    """A deployment package."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in (files or {"app.py": SOURCE}).items():
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, text)
    return out.getvalue()


def create(client: Any, name: str = "f", *, code: bytes | None = None, **settings: Any) -> None:
    """Create a function and wait until it can be invoked."""
    defaults = {"MemorySize": 256, "Timeout": 10, "Handler": "app.handler"}
    client.create_function(
        FunctionName=name, Runtime=PYTHON, Role=ROLE, Code={"ZipFile": code or zipped()}, **{**defaults, **settings}
    )
    client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.05, "MaxAttempts": 400})


def until(condition: Any, timeout_s: float = 60) -> None:
    """Wait for a condition, however busy the machine is; AssertionError when the time is over."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "the condition did not come true in time"
        time.sleep(0.02)
