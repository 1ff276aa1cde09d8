"""On what a result was obtained: a figure without its machine and commit says nothing."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent


def _first_line(*argv: str, cwd: Path | None = None) -> str:
    if shutil.which(argv[0]) is None:
        return ""
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, check=False)
    return done.stdout.splitlines()[0].strip() if done.returncode == 0 and done.stdout else ""


def _field(path: str, name: str) -> str:
    try:
        for line in Path(path).read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == name:
                return value.strip()
    except OSError:
        pass
    return ""


def commit() -> str:
    """The checkout's commit, with "+changes" when the tree differs from it; "uncommitted" before the first one."""
    revision = _first_line("git", "rev-parse", "--short=12", "HEAD", cwd=CHECKOUT)
    if not revision:
        return "uncommitted"
    changed = _first_line("git", "status", "--porcelain", "--untracked-files=no", cwd=CHECKOUT)
    return revision + ("+changes" if changed else "")


def machine() -> dict[str, str]:
    """What a reader needs to judge a time: processor, cores, memory, kernel, tools, load at the start."""
    memory = _field("/proc/meminfo", "MemTotal").split()
    return {
        "processor": _field("/proc/cpuinfo", "model name") or platform.machine(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory_mib": str(int(memory[0]) // 1024) if memory else "",
        "kernel": platform.release(),
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", platform.system()),
        "compiler": _first_line("gcc", "--version"),
        "make": _first_line("make", "--version"),
        "python": platform.python_version(),
        "load": " ".join(f"{value:.2f}" for value in os.getloadavg()),
        "commit": commit(),
    }
