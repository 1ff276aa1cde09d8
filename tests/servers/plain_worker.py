"""Runs actions of the Remote Execution API in a directory of its own, with this machine's files around it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable
from typing import BinaryIO

from gg.engines.reapi import messages as m
from gg.engines.reapi.cas import digest_of


def _nothing(name: str, file: BinaryIO) -> None:
    pass


class PlainWorker:
    """`get` gives the bytes of a digest, `put` keeps some. `wrote` is told of each input while it is still open for writing."""

    def __init__(
        self,
        get: Callable[[m.Digest | None], bytes],
        put: Callable[[bytes], m.Digest],
        wrote: Callable[[str, BinaryIO], None] = _nothing,
    ) -> None:
        self._get = get
        self._put = put
        self._wrote = wrote
        self._no_fork = threading.Lock()  # while a file is written, for what holds it open then cannot be executed

    def run(
        self, action: m.ActionMessage, laid_out: Callable[[], bool], started: Callable[[subprocess.Popen[bytes]], None]
    ) -> m.ActionResult:
        """What the action comes to. `laid_out` is asked before its command starts whether it still shall."""
        command = m.decode(m.CommandMessage, self._get(action.command_digest))
        top = tempfile.mkdtemp(prefix="action-")
        try:
            self._lay_out(action.input_root_digest, top)
            return self._ran(command, top, started) if laid_out() else m.ActionResult(exit_code=137)
        finally:
            shutil.rmtree(top, ignore_errors=True)

    def _lay_out(self, digest: m.Digest | None, path: str) -> None:
        os.makedirs(path, exist_ok=True)
        directory = m.decode(m.DirectoryMessage, self._get(digest))
        for file in directory.files:
            place = os.path.join(path, file.name)
            with self._no_fork, open(place, "wb") as out:
                out.write(self._get(file.digest))
                self._wrote(file.name, out)
            os.chmod(place, 0o555 if file.is_executable else 0o444)
        for link in directory.symlinks:
            os.symlink(link.target, os.path.join(path, link.name))
        for each in directory.directories:
            self._lay_out(each.digest, os.path.join(path, each.name))

    def _ran(
        self, command: m.CommandMessage, top: str, started: Callable[[subprocess.Popen[bytes]], None]
    ) -> m.ActionResult:
        env = {each.name: each.value for each in command.environment_variables}
        pipe = subprocess.PIPE
        with self._no_fork:
            process = subprocess.Popen(
                command.arguments, cwd=top, env=env, stdout=pipe, stderr=pipe, start_new_session=True
            )
        started(process)
        out, err = process.communicate()
        files, trees = self._outputs(command, top)
        status = process.returncode
        code = 128 - status if status < 0 else status
        return m.ActionResult(files, trees, code, out, None, b"", self._put(err))

    def _outputs(
        self, command: m.CommandMessage, top: str
    ) -> tuple[tuple[m.OutputFile, ...], tuple[m.OutputDirectory, ...]]:
        files: list[m.OutputFile] = []
        trees: list[m.OutputDirectory] = []
        for path in command.output_paths or (*command.output_files, *command.output_directories):
            place = os.path.join(top, path)
            if os.path.isdir(place):
                children: dict[bytes, None] = {}
                root = self._tree(place, children)
                trees.append(m.OutputDirectory(path, self._put(m.encode(m.Tree(root, tuple(children))))))
            elif os.path.isfile(place):
                files.append(m.OutputFile(path, self._put_file(place), os.access(place, os.X_OK)))
        return tuple(files), tuple(trees)

    def _tree(self, path: str, children: dict[bytes, None]) -> bytes:
        files: list[m.FileNode] = []
        directories: list[m.DirectoryNode] = []
        links: list[m.SymlinkNode] = []
        for entry in sorted(os.scandir(path), key=lambda e: e.name):
            if entry.is_symlink():
                links.append(m.SymlinkNode(entry.name, os.readlink(entry.path)))
            elif entry.is_dir():
                inner = self._tree(entry.path, children)
                children[inner] = None
                directories.append(m.DirectoryNode(entry.name, digest_of(inner)))
            else:
                files.append(m.FileNode(entry.name, self._put_file(entry.path), bool(entry.stat().st_mode & 0o100)))
        return m.encode(m.DirectoryMessage(tuple(files), tuple(directories), tuple(links)))

    def _put_file(self, path: str) -> m.Digest:
        with open(path, "rb") as file:
            return self._put(file.read())
