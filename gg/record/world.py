"""The machine as a model and the include scanner see it: files by content, placeholders told apart, questions memoised.

What lies under a *stable* prefix (`/usr`, …, unless the workspace is inside it) is looked at once a session; all
else is looked at each time. A placeholder that a model must read is forced first.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from gg.core.placeholder import SIZE, Placeholder
from gg.light.slotted import replace
from gg.models.drafts import Completed, PathKind
from gg.models.includes.disk import FileSignature, LocalDisk
from gg.record.canon import Canon
from gg.record.recall.answers import Answers
from gg.record.tools import Tools
from gg.workspace.workspace import read_placeholder

if TYPE_CHECKING:
    from gg.core.ids import ThunkId
    from gg.core.renaming import Renaming
    from gg.host.filedb import FileDB, FileInfo
    from gg.models.linking.entry import Recorded
    from gg.store.base import Store

STABLE = (b"/usr/", b"/lib/", b"/lib64/", b"/lib32/", b"/bin/", b"/sbin/", b"/nix/store/", b"/gnu/store/", b"/etc/")


class World(LocalDisk):
    """One session's view of the machine: a model's `Probe` and the include scanner's `Disk`."""

    def __init__(
        self,
        root: bytes,
        files: FileDB,
        store: Store,
        force: Callable[[Sequence[bytes]], None],
        answers: bytes | None = None,
        renaming: Renaming | None = None,
        common: bytes | None = None,
    ) -> None:
        """`answers`: the file of what tools answered in earlier sessions, if there is one; `common`: a directory for one
        that other workspaces have too."""
        super().__init__()
        self._kept = Answers(answers, _run, common + b"/answers" if common else None) if answers else None
        self.root = root
        self._root = root + b"/"
        self._renaming = renaming
        self.files = files
        self._store = store
        self._recorded: dict[bytes, Recorded] = {}
        self._force = force
        self._stable_kinds: dict[bytes, PathKind] = {}
        self._answers: dict[object, Completed] = {}
        self._placed: dict[bytes, tuple[int, int, Placeholder]] = {}
        self._not_earlier: set[ThunkId] = set()  # of this recording, or no edits
        self._fresh: dict[bytes, tuple[bytes, FileInfo]] = {}
        self._tools = Tools(self.stable)
        self.canon = Canon(self.stable)
        self.epoch = 0

    # Probe

    def begin(self) -> None:
        """A new call: forget all that was learnt of tools if one that the build may have changed is another now."""
        self.canon.begin()
        if not self._tools.stand():
            self.epoch += 1
            self._answers.clear()
            if self._kept:
                self._kept.forget()
            from gg.models.toolchain.remembered import forget

            forget(self)

    def renew(self) -> None:
        """Directories have come to be called otherwise: models forget what they made of their names."""
        self.epoch += 1

    def watch_tools(self, paths: Iterable[bytes]) -> None:
        """What tools answer depends on these files."""
        self._tools.watch(paths)

    def kind(self, path: bytes) -> PathKind:
        known = self._stable_kinds.get(path)
        if known is not None:
            return known
        try:
            mode = os.stat(path).st_mode
        except (OSError, ValueError):
            found = PathKind.MISSING
        else:
            found = PathKind.DIRECTORY if stat.S_ISDIR(mode) else PathKind.FILE
        if self.stable(path):
            self._stable_kinds[path] = found
        return found

    def read(self, path: bytes) -> bytes:
        """The content; what is not under a stable prefix is kept for the store until `take_fresh`."""
        if self.placeholder(path):
            self._force([path])
        data, info = self.files.read(path)
        if not self.stable(path):
            self._fresh[info.blob.digest] = (data, info)
        return data

    def read_part(self, path: bytes, offset: int, size: int) -> bytes:
        """`size` bytes at `offset`, fewer at the end; OSError if it cannot be read. For headers of large files."""
        if self.placeholder(path):
            self._force([path])
        from gg.light.plain_files import open_plain

        file = open_plain(path)
        try:
            return os.pread(file, size, offset)
        finally:
            os.close(file)

    def is_object(self, path: bytes, program: bytes, env: Mapping[bytes, bytes]) -> bool:
        """Whether strip or objcopy, as `program`, knows what is in the made file at `path`."""
        from gg.record.editable import formats, is_object

        return is_object(path, self.read_part, formats(program, env, self))

    def list_directory(self, path: bytes) -> tuple[bytes, ...]:
        """The names in a directory, sorted; none if there is no such directory."""
        try:
            return tuple(sorted(os.listdir(path)))
        except OSError:
            return ()

    def is_placeholder(self, path: bytes) -> bool:
        return self.placeholder(path) is not None

    def run(self, argv: Sequence[bytes], env: Mapping[bytes, bytes], cwd: bytes = b"/") -> Completed:
        key = (tuple(argv), tuple(sorted(env.items())), cwd)
        known = self._answers.get(key)
        if known is None:
            self._tools.watch_search(argv, env, cwd)
            known = self._answers[key] = self._kept.ask(argv, env, cwd) if self._kept else _run(argv, env, cwd)
        return known

    def flush(self) -> None:
        """Write what later sessions may know."""
        if self._kept:
            self._kept.flush()

    # Disk

    def stable(self, path: bytes) -> bool:
        return path.startswith(STABLE) and not path.startswith(self._root)

    def lexed(self, path: bytes, kind: str, signature: FileSignature) -> bytes | None:
        return self.files.get_lexed(path, kind)

    def keep(self, path: bytes, kind: str, signature: FileSignature, lexed: bytes) -> None:
        self.files.set_lexed(path, kind, lexed)

    # Placeholders

    def wrote_placeholder(self, path: bytes, info: os.stat_result, placeholder: Placeholder) -> None:
        """Remember what the recorder itself has just written."""
        self._placed[path] = (info.st_ino, info.st_mtime_ns, placeholder)
        self._not_earlier.add(placeholder.thunk)

    def is_own(self, path: bytes, thunk: ThunkId | None = None) -> bool:
        """Whether the placeholder that this session wrote to `path`, for `thunk` if that is given, is still there."""
        known = self._placed.get(path)
        if known is None or thunk not in (None, known[2].thunk):
            return False
        try:
            info = os.lstat(path)
        except OSError:
            return False
        return info.st_ino == known[0] and info.st_mtime_ns == known[1]

    def placeholder(self, path: bytes) -> Placeholder | None:
        """The placeholder at `path`, symbolic links followed; None for any other file or none."""
        if self._stable_kinds.get(path) is not None:
            return None
        try:
            info = os.stat(path)
        except (OSError, ValueError):
            return None
        if info.st_size != SIZE:
            return None
        known = self._placed.get(path)
        if known and known[0] == info.st_ino and known[1] == info.st_mtime_ns:
            return known[2]
        return read_placeholder(path, info.st_size)

    def input_placeholder(self, path: bytes) -> Placeholder | None:
        """The placeholder at `path`, which a call is going to read. None if it is forced now, or if it is another file.

        An edit of an earlier recording is forced. If it has failed, or what it needs, the file is as it was before: whoever
        reads it now reads that. In the same recording whoever reads it would not have been called.
        """
        placeholder = self.placeholder(path)
        if placeholder is None or placeholder.thunk in self._not_earlier:
            return placeholder
        if not self._is_edit(placeholder):
            self._not_earlier.add(placeholder.thunk)
            return placeholder
        self._force([path])
        return self.placeholder(path)

    def _is_edit(self, placeholder: Placeholder) -> bool:
        """Whether its thunk changes a file that was there."""
        from gg.core.codec import decode_thunk
        from gg.store.base import Key, Kind, get_one

        data = get_one(self._store, Key(Kind.THUNK, placeholder.thunk))
        thunk = decode_thunk(data) if data else None
        if thunk is None or placeholder.index >= len(thunk.outputs):
            return False
        path = thunk.outputs[placeholder.index].path
        return any(entry.path == path for entry in thunk.entries)

    def recorded(self, path: bytes) -> Recorded | None:
        """What makes the placeholder at `path`: its members, if it is a thin archive, are inputs of whoever reads it."""
        placeholder = self.placeholder(path)
        return None if placeholder is None else self._recorded_thunk(placeholder.thunk)

    def _recorded_thunk(self, name: bytes) -> Recorded | None:
        known = self._recorded.get(name)
        if known is None:
            from gg.core.codec import decode_thunk
            from gg.core.thunk import File, OutputOf
            from gg.models.linking.entry import Recorded
            from gg.store.base import Key, Kind, get_one

            data = get_one(self._store, Key(Kind.THUNK, name))
            if data is None:
                return None
            thunk = decode_thunk(data)
            inputs = tuple(bytes(e.path) for e in thunk.entries if isinstance(e, (File, OutputOf)))
            outputs = {output.path for output in thunk.outputs}
            changed = [e.thunk for e in thunk.entries if isinstance(e, OutputOf) and e.path in outputs]
            before = self._recorded_thunk(changed[0]) if len(changed) == 1 else None
            known = self._recorded[name] = self._here(Recorded(thunk.argv, thunk.cwd, inputs, before))
        return known

    def _here(self, recorded: Recorded) -> Recorded:
        """With every path as it is on this machine."""
        names = self._renaming
        if names is None:
            return recorded
        return replace(
            recorded,
            argv=tuple([names.real_text(word) for word in recorded.argv]),
            cwd=names.real_path(recorded.cwd),
            inputs=tuple([names.real_path(path) for path in recorded.inputs]),
        )

    def take_fresh(self, digest: bytes) -> bytes | None:
        """The content that `read` met under this digest, once."""
        fresh = self._fresh.pop(digest, None)
        return fresh[0] if fresh else None


def _run(argv: Sequence[bytes], env: Mapping[bytes, bytes], cwd: bytes) -> Completed:
    import subprocess

    try:
        done = subprocess.run(
            list(argv), env=dict(env), cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    except OSError as error:
        return Completed(127, b"", os.fsencode(str(error)))
    return Completed(done.returncode, done.stdout, done.stderr)
