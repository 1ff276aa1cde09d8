"""Where a situation is built: always at one path, for debug information and some generated files hold it."""

from __future__ import annotations

import fnmatch
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.packages import tree
from benchmarks.situations.situation import Situation
from benchmarks.timing import Ran, clean_environment, run

EPOCH = "1767225600"  # for what writes a time where SOURCE_DATE_EPOCH does not say another


@dataclass(frozen=True, slots=True)
class Built:
    """How a build ended, and what it left in the project (below `tree/`) and in DEST (below `dest/`)."""

    ran: Ran
    files: tree.Tree


class Place:
    """One situation's directory. `logs` keeps what the builds printed."""

    def __init__(self, cache: Path, situation: Situation) -> None:
        self.situation = situation
        self.top = cache / "work" / situation.name
        self.tree = self.top / "tree"
        self.dest = self.top / "dest"
        self.logs = cache / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)
        self.env = clean_environment(
            {
                "DEST": str(self.dest),
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",  # the distribution's own tools
                "HOME": str(self.top / "home"),
                "XDG_CACHE_HOME": str(self.top / "cache"),
                "SOURCE_DATE_EPOCH": EPOCH,
                "VENV": str(cache / "venv"),
                "NPM": str(cache / "npm" / "node_modules"),
            }
        )

    def prepare(self) -> None:
        """Sources only, as they come with the situation."""
        shutil.rmtree(self.top, ignore_errors=True)
        for directory in (self.tree, self.dest, self.top / "home"):
            directory.mkdir(parents=True)
        for name, text in self.situation.files.items():
            path = self.tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o755 if text.startswith("#!") else 0o644)
            os.utime(path, (int(EPOCH), int(EPOCH)))
        if self.situation.git:
            self._commit()

    def _commit(self) -> None:
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        env = {**self.env, "GIT_AUTHOR_DATE": EPOCH + " +0000", "GIT_COMMITTER_DATE": EPOCH + " +0000"}
        for words in (["init", "-q"], ["add", "."], [*who, "commit", "-q", "-m", "one"]):
            subprocess.run(["git", *words], cwd=self.tree, env=env, check=True)

    def plain(self) -> Built:
        self.prepare()
        return self._built("plain", ["/bin/sh", "-c", self.situation.build])

    def through_gg(self, gg: Path) -> tuple[Built, Ran]:
        """The build as gg-infer and then gg-force leave it, and what gg-force took."""
        self.prepare()
        infer = [str(gg / "gg-infer"), "--quiet", "/bin/sh", "-c", self.situation.build]
        inferred = run(infer, self.tree, self.env, self._log("infer"))
        forced = run([str(gg / "gg-force"), "--quiet"], self.tree, self.env, self._log("force"))
        return Built(inferred, self.snapshot()), forced

    def _built(self, stage: str, command: list[str]) -> Built:
        ran = run(command, self.tree, self.env, self._log(stage))
        return Built(ran, self.snapshot())

    def _log(self, stage: str) -> Path:
        path = self.logs / f"{self.situation.name}.{stage}.log"
        path.unlink(missing_ok=True)
        return path

    def snapshot(self) -> tree.Tree:
        """All but what the situation calls loose."""
        found: tree.Tree = {}
        for name, root in ((b"tree/", self.tree), (b"dest/", self.dest)):
            below = tree.snapshot(root, leave_out=(b".gg", b".git"))
            found |= {name + path: leaf for path, leaf in below.items() if not self._loose(os.fsdecode(path))}
        return found

    def _loose(self, path: str) -> bool:
        return any(fnmatch.fnmatch(path, pattern) for pattern in self.situation.loose)
