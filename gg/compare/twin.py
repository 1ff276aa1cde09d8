"""A copy of a workspace that stands where the workspace does: builds in it make the same paths, and the workspace is not touched.

The copy is mounted over the workspace's directory in a mount namespace of each command's own. It has records of its own, and the
store is the workspace's: what is known is known there too.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence

from gg.errors import SetupError, UsageError
from gg.host.trees import remove_tree
from gg.light.named import NamedTuple
from gg.workspace import roots
from gg.workspace.workspace import Workspace

_MOUNT = 'mount --bind "$1" "$2" || exit 124; cd "$3" || exit 125; shift 3; exec "$@"'
_REFUSED = 124


class CompletedCommand(NamedTuple):
    """How a command in the copy ended."""

    status: int
    stdout: str
    stderr: str


class Twin:
    """`tree` is the copy's directory, as one sees it from outside. `close` removes it."""

    def __init__(self, workspace: Workspace, environment: Mapping[str, str]) -> None:
        if shutil.which("unshare") is None or shutil.which("mount") is None:
            raise SetupError("unshare and mount are not installed", hint="apt-get install util-linux mount")
        self._root = workspace.root
        self._top = tempfile.mkdtemp(prefix="gg-twin-")
        self.tree = os.path.join(self._top, "tree")
        home = os.path.join(self._top, "cache", "gg")
        os.makedirs(home, mode=0o700)
        os.symlink(os.path.realpath(workspace.store), os.path.join(home, "store"))
        kept = {name: value for name, value in environment.items() if name not in ("GG_DIR", "XDG_CACHE_HOME")}
        self._environment = {**kept, "XDG_CACHE_HOME": os.path.dirname(home)}
        self._home = home
        inside = os.path.realpath(workspace.store).startswith(workspace.root + "/")
        if inside:
            self.close()
            raise UsageError(
                "this workspace keeps its store in its own tree", hint="record it where gg init --in-tree was not said"
            )
        try:
            self._copy(workspace)
        except BaseException:
            self.close()
            raise

    def _copy(self, workspace: Workspace) -> None:
        done = subprocess.run(["cp", "-a", "--reflink=auto", workspace.root, self.tree], check=False)
        if done.returncode:
            raise UsageError(
                f"{workspace.root} could not be copied to {self._top}", hint="TMPDIR says where there is room"
            )

    def run(self, command: Sequence[str], cwd: str) -> CompletedCommand:
        """Run a command where the copy is the workspace; `cwd` is a directory in it. SetupError where no namespace can be had."""
        entered = [
            "unshare",
            "--mount",
            *self._as_who(),
            "sh",
            "-c",
            _MOUNT,
            "sh",
            self.tree,
            self._root,
            cwd,
            *command,
        ]
        done = subprocess.run(
            entered, env=self._environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
            cwd="/", check=False,
        )  # fmt: skip
        if done.returncode == _REFUSED or (done.returncode == 1 and done.stderr.startswith("unshare:")):
            raise SetupError(
                f"a copy cannot be mounted over the workspace here: {done.stderr.strip()}",
                hint="be root, or allow user namespaces (sysctl kernel.unprivileged_userns_clone=1)",
            )
        return CompletedCommand(done.returncode, done.stdout, done.stderr)

    def gg(self, name: str, words: Sequence[str], cwd: str) -> CompletedCommand:
        """Run one of gg's own commands in it."""
        code = f"import sys; sys.argv = {['gg-' + name, *words]!r}; from gg.cli import main; main.{name}()"
        return self.run([sys.executable, "-P", "-c", code], cwd)

    def force(self, cwd: str) -> tuple[CompletedCommand, dict[str, str], str]:
        """Force all; how it ended, of each thunk, by its id, whether it "ran" or was "cached", and what failed ones said."""
        done = self.gg("force", ["--json", "--keep-going"], cwd)
        how: dict[str, str] = {}
        said = done.stderr
        for line in done.stdout.splitlines():
            event = json.loads(line) if line.startswith("{") else {}
            if event.get("event") == "thunk-done":
                how[str(event["id"])] = str(event["how"])
            elif event.get("event") == "thunk-failed":
                said += f"{event.get('label')}: {event.get('stderr')}\n"
        return done, how, said

    def records(self) -> str:
        """The directory of the copy's records."""
        found = next((records for records, root in roots.every(self._home) if root.path == self._root), None)
        if found is None:
            raise UsageError("nothing was recorded in the copy")
        return found

    def close(self) -> None:
        remove_tree(self._top)

    @staticmethod
    def _as_who() -> list[str]:
        return [] if os.geteuid() == 0 else ["--map-root-user"]
