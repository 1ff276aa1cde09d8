"""`gg doctor`: whether this machine has what gg needs, and what to do if not."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import click

from gg.errors import GGError
from gg.workspace.workspace import Workspace

_SPACE = 1 << 30


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check. `level`: "ok", "note" (something works less well) or "bad" (gg cannot work)."""

    level: str
    text: str


@click.command("gg doctor", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, hidden=True)
def command(debug: bool) -> int:
    """Check the programs, the kernel and the workspace. Exit status 1 when something keeps gg from working."""
    findings = [finding for check in _CHECKS for finding in _asked(check)]
    for finding in findings:
        click.echo(f"{finding.level:5} {finding.text}")
    return 1 if any(f.level == "bad" for f in findings) else 0


def _asked(check: Callable[[], Iterator[CheckResult]]) -> Iterator[CheckResult]:
    """The findings of a check. An error in the check is a finding too."""
    try:
        yield from check()
    except GGError as error:
        yield CheckResult("bad", f"{error.what}: {error.hint}" if error.hint else error.what)


def _native() -> Iterator[CheckResult]:
    from gg.host import native_programs as native

    for find in (
        native.shim,
        native.record_library,
        native.pathmap_library,
        native.jail,
        native.tracer,
        native.placer,
        native.finder,
    ):
        try:
            yield CheckResult("ok", f"native program {find()}")
        except GGError as error:
            yield CheckResult("bad", f"{error.what}: {error.hint}")


def _compilers() -> Iterator[CheckResult]:
    from gg.models.tool_names import tool_name

    found: list[str] = []
    for name in ("gcc", "g++", "clang", "ld", "ar", "as", "nasm"):
        path = shutil.which(name)
        if path and tool_name(os.fsencode(name)):
            found.append(name)
    yield CheckResult("ok" if found else "bad", f"tools that gg models: {', '.join(found) or 'none on PATH'}")


def _preload() -> Iterator[CheckResult]:
    """A preloaded library cannot see into static programs: name those that builds use most."""
    from gg.formats.elf import read_dynamic

    for name in ("make", "sh", "bash", "ninja", "cmake", "python3"):
        path = shutil.which(name)
        if not path:
            continue
        try:
            with open(path, "rb") as file:
                data = file.read()
        except OSError:
            continue
        dynamic = read_dynamic(data)
        if dynamic is not None and dynamic.is_static_executable:
            yield CheckResult("note", f"{path} is static: what it runs is seen through PATH only")
    yield from _watch()


def _watch() -> Iterator[CheckResult]:
    """Whether the kernel can report what static programs read."""
    from gg.host import native_programs as native

    try:
        can = subprocess.run([native.shim(), "--gg-can-watch"], check=False).returncode == 0
    except GGError:
        return
    if can:
        yield CheckResult("ok", "the kernel tells what static programs read (seccomp user notification)")
    else:
        yield CheckResult("note", "the kernel does not tell what static programs read (no seccomp user notification): "
                      "under gg-infer they find real what their arguments name, and nothing else")  # fmt: skip


def _namespaces() -> Iterator[CheckResult]:
    """Whether a program can be run in a jail. The shim is tried, which is static and ends at once."""
    from gg.host import native_programs as native

    try:
        jail, shim = native.jail(), native.shim()
    except GGError:
        return
    with tempfile.TemporaryDirectory() as top:
        root, spec = os.path.join(top, "root"), os.path.join(top, "spec")
        os.mkdir(root)
        operations = ["root", root, "bind", shim, "/shim", "cwd", "/", "exec", "/shim", "gg-shim", "--gg-can-watch"]
        with open(spec, "wb") as file:
            file.write(b"".join([os.fsencode(word) + b"\0" for word in operations]))
        done = subprocess.run([jail, spec], capture_output=True, check=False)
    if done.returncode in (0, 1):  # what the shim says
        yield CheckResult("ok", "user and mount namespaces work (--isolation namespace)")
    else:
        why = os.fsdecode(done.stderr.strip()).removeprefix("gg-jail: ")
        yield CheckResult("note", f"no namespaces here: --isolation pathmap only ({why})")


def _workspace() -> Iterator[CheckResult]:
    workspace = Workspace.find()
    if workspace is None:
        yield CheckResult("note", "no workspace here yet: gg-infer makes one")
        yield from _home()
        return
    if not os.access(workspace.dot, os.W_OK):
        yield CheckResult("bad", f"{workspace.dot} cannot be written")
    free = shutil.disk_usage(workspace.dot).free
    level = "ok" if free > _SPACE else "note"
    yield CheckResult(level, f"workspace {workspace.root}, state in {workspace.dot}, {free / 1e9:.1f} GB free")
    from gg.store.directory import DirectoryStore

    try:
        DirectoryStore(os.fsencode(workspace.store)).close()
    except GGError as error:
        yield CheckResult("bad", f"{error.what}: {error.hint}")


def _home() -> Iterator[CheckResult]:
    """The directory where the state of a new workspace would be."""
    from gg.workspace import homes

    usual, home = homes.state_homes()[0], homes.cache_home()
    if home == usual:
        yield CheckResult("ok", f"state is kept in {home}")
    else:
        yield CheckResult("note", f"{usual} cannot be written: set XDG_CACHE_HOME or GG_DIR")


def _team() -> Iterator[CheckResult]:
    """The team's store, if one is set: whether it answers, and who signs."""
    from gg.share.command_store import keyring, open_remote
    from gg.workspace import settings as config

    workspace = Workspace.find()
    settings = config.load(workspace.root if workspace else None)
    if held := config.held(workspace.root if workspace else None):
        from gg.cli.consent import line

        yield CheckResult("note", line(held))
    if workspace is None or not settings.store:
        return
    try:
        remote = open_remote(workspace, settings)
        try:
            remote.run(remote.sync)
        finally:
            remote.close()
        yield CheckResult("ok", f"team's store {remote.where} answers")
        own = keyring(settings).own
        yield (
            CheckResult("ok", f"results are signed by {own.name}") if own else CheckResult("note", "no key: gg key new")
        )
    except GGError as error:
        yield CheckResult("bad", f"{error.what}: {error.hint}")


_CHECKS: tuple[Callable[[], Iterator[CheckResult]], ...] = (
    _native,
    _compilers,
    _preload,
    _namespaces,
    _workspace,
    _team,
)
