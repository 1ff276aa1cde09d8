"""The ledger of a workspace: each recorded call stands in it until somebody was told how it ended, and so do failed thunks.

A call counts even if nobody wants its output any more: a check that removes its object, an intermediate file that make
deletes, an object that is written over. So `gg-force` evaluates the calls in the ledger as well as the placeholders' thunks.

recorded/TIME-PID         what one recording has recorded, in its order; its recorder holds it locked
recorded/TIME-PID.told    the places in it (u32 each) of the calls whose end was told
failed                    thunks that have failed when forced (32 bytes each); 32 zero bytes where a recording began

`gg.workspace.recorded_calls` describes the records of the first two; all files are only appended to. A call of an earlier
recording is dropped if a later recording has recorded one of its outputs anew: whoever built again has had it done again.

Failures *stand* until the next recording begins: until then each `gg-force` fails with them again. A recording runs a call
for real if it is known to have failed, so its caller is told at once, and the tool itself deals with the output. A failure
during the recording (somebody read the output) stands too, unless the call is recorded again.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress

from gg.core.ids import DIGEST_SIZE, ThunkId
from gg.workspace.recorded_calls import BY, EXCUSED, UNHEARD, Recording

_BEGUN = bytes(DIGEST_SIZE)  # in `failed`
_MANY = 1 << 20  # bytes of `failed`; beyond that the older half is forgotten


class Ledger:
    """The ledger of the workspace whose records are in `dot`. Any thread may use it."""

    def __init__(self, dot: str, again: set[bytes] | None = None) -> None:
        """`again` receives the failed thunks whose calls are recorded again."""
        self._again = again if again is not None else set()
        self._directory = os.path.join(dot, "recorded")
        self._failed_path = os.path.join(dot, "failed")
        self._unmade_path = os.path.join(dot, "tmp", "unmade")
        self._lock = threading.RLock()
        self._own: Recording | None = None
        self._own_paths: list[bytes] = []
        self._recordings: list[Recording] = []
        self._owed: dict[ThunkId, list[tuple[Recording, int]]] = {}
        self._known: set[ThunkId] = set()
        self._unheard: set[tuple[str, int]] = set()
        self._by: dict[ThunkId, int] = {}
        self._last: dict[ThunkId, tuple[int, int]] = {}  # when it was last recorded, and with which umask
        self._made: tuple[object, dict[bytes, list[int]]] = (None, {})
        self._standing: list[ThunkId] = []
        self._excused: dict[ThunkId, bool] = {}
        self._unmade: set[bytes] = set()
        self._recorded_now: set[ThunkId] = set()
        self._failed: set[ThunkId] = set()
        self._loaded = False
        self._records = False

    # For those who record

    def begin(self) -> None:
        """Begin a recording: no failure stands any more."""
        with self._lock:
            self._records = True
            with suppress(OSError):
                os.unlink(self._unmade_path)
            ids = self._read_failed()
            self._failed.update(ids)
            if ids and ids[-1] != _BEGUN:
                self._append([ThunkId(_BEGUN)])
            if len(ids) * DIGEST_SIZE > _MANY:
                self._rewrite(ids[len(ids) // 2 :])

    def record(
        self,
        thunk: ThunkId,
        outputs: Sequence[bytes],
        umask: int,
        *,
        heard: bool = True,
        by: int = 0,
        excused: bool = False,
    ) -> None:
        """Write down a call that was recorded, before it is told that it went well. OSError when that fails.

        `heard`: somebody hears what it prints. `by`: who passes that on (`gg.core.colour.By`). `excused`: if it fails, its
        caller goes on all the same.
        """
        with self._lock:
            own = self._own or self._open()
            paths = b"\0".join(outputs)
            flags = by << BY | (0 if heard else UNHEARD) | (EXCUSED if excused else 0)
            place, when = own.add(thunk, paths, flags, umask)
            self._last[thunk] = when, umask
            self._recorded_now.add(thunk)
            self._excuse(thunk, excused)
            self._unmade.difference_update(outputs)
            self._owed.setdefault(thunk, []).append((own, place))
            self._by[thunk] = by
            if not heard:
                self._unheard.add((own.path, place))
            self._own_paths.append(paths)

    def has_failed(self, thunk: ThunkId) -> bool:
        """Whether the thunk has failed before, when it was forced. Called when its call is recorded again."""
        if thunk not in self._failed:
            return False
        self._again.add(thunk)
        if self._records and thunk in self._standing:
            self._standing.remove(thunk)
            self._append([ThunkId(_BEGUN), *self._standing])
        return True

    def _open(self) -> Recording:
        self._own = Recording(os.path.join(self._directory, f"{time.time_ns():020}-{os.getpid()}"))
        self._own.open()
        return self._own

    # For those who force

    def owes(self) -> bool:
        """Whether the ledger may hold anything."""
        try:
            with os.scandir(self._directory) as entries:
                if next(entries, None) is not None:
                    return True
        except FileNotFoundError:
            pass
        ids = self._read_failed()
        return bool(ids) and ids[-1] != _BEGUN

    def standing(self) -> list[ThunkId]:
        """The thunks that have failed since the last recording began."""
        ids = self._read_failed()
        return ids[_after_last(ids, _BEGUN) :]

    def load(self) -> None:
        """Read the files of other recordings, once."""
        with self._lock:
            if self._loaded:
                return
            self._loaded = True
            own = self._owed
            later = {path for joined in self._own_paths for path in joined.split(b"\0")}
            names = self._others()
            owed = [self._load(name, later, earliest=name == names[-1]) for name in names]
            self._owed = {}
            for each in (*reversed(owed), own):
                for thunk, places in each.items():
                    self._owed.setdefault(thunk, []).extend(places)
            if not self._records:
                ids = self._read_failed()
                self._failed.update(ids)
                self._standing = ids[_after_last(ids, _BEGUN) :]

    def _others(self) -> list[str]:
        """The recordings of others, the latest first."""
        try:
            names = [name for name in os.listdir(self._directory) if not name.endswith(".told")]
        except FileNotFoundError:
            return []
        own = os.path.basename(self._own.path) if self._own else ""
        return sorted((name for name in names if name != own), reverse=True)

    def _load(self, file: str, later: set[bytes], *, earliest: bool) -> dict[ThunkId, list[tuple[Recording, int]]]:
        """The calls that a recording still owes. `later`: the outputs of later recordings; its own are added to them."""
        recording = Recording(os.path.join(self._directory, file))
        owed: dict[ThunkId, list[tuple[Recording, int]]] = {}
        dropped: list[int] = []
        outputs: list[bytes] = []
        with suppress(FileNotFoundError):
            calls, told = recording.read(), recording.read_told()
            last = {call.thunk: (call.time, call.umask) for call in calls}
            self._last = {**last, **self._last}  # the latest recording comes first
            self._known.update(last)
            for place, thunk, joined, flags, *_ in calls:
                self._excuse(thunk, bool(flags & EXCUSED))
                if place in told:
                    continue
                if not earliest:
                    outputs += joined.split(b"\0")
                if later and not later.isdisjoint(joined.split(b"\0")):
                    dropped.append(place)
                else:
                    owed.setdefault(thunk, []).append((recording, place))
                    self._by.setdefault(thunk, (flags & ~(UNHEARD | EXCUSED)) >> BY)
                    if flags & UNHEARD:
                        self._unheard.add((recording.path, place))
            self._recordings.append(recording)
            if dropped:
                recording.mark(dropped)
        later.update(outputs)
        return owed

    def recorded(self) -> list[ThunkId]:
        """The thunk of each call, told of or not, in the order of recording, as far as the recordings are kept."""
        found: list[ThunkId] = []
        for name in reversed(self._others()):
            recording = Recording(os.path.join(self._directory, name))
            with suppress(FileNotFoundError):
                found += [thunk for _, thunk, *_ in recording.read()]
        return found

    def calls(self) -> list[ThunkId]:
        """The thunk of each call whose end was not told and which somebody hears, in the order of recording."""
        with self._lock:
            return [thunk for path, place, thunk in self._places() if (path, place) not in self._unheard]

    def owed(self) -> list[ThunkId]:
        """The thunks of all calls whose end was not told, in the order of recording, and the failures that stand."""
        with self._lock:
            return list(dict.fromkeys((*(thunk for _, _, thunk in self._places()), *self._standing)))

    def _places(self) -> list[tuple[str, int, ThunkId]]:
        places = [(to.path, place, thunk) for thunk, owed in self._owed.items() for to, place in owed]
        places.sort()
        return places

    def times(self, thunk: ThunkId) -> int | None:
        """How many calls of the thunk are heard and were not told their end; None for a thunk that was never in the ledger."""
        with self._lock:
            places = self._owed.get(thunk)
            if places and not self._unheard:
                return len(places)
            if places:
                return sum((to.path, place) not in self._unheard for to, place in places)
            return 0 if thunk in self._known else None

    def by(self, thunk: ThunkId) -> int:
        """Who passes on what a call of the thunk prints, as its last recording says (`gg.core.colour.By`)."""
        return self._by.get(thunk, 0)

    def since(self, thunk: ThunkId) -> int:
        """When a call of the thunk was last recorded, in nanoseconds; 0 if that is not known."""
        return self._last[thunk][0] if thunk in self._last else 0

    def umask(self, thunk: ThunkId) -> int | None:
        """The umask of the thunk's last call; None if that is not known."""
        return self._last[thunk][1] if thunk in self._last else None

    def made(self, path: bytes) -> Sequence[int]:
        """When the calls that make this file were recorded, in recordings that still owe something."""
        with self._lock:
            names = [*self._others(), *([os.path.basename(self._own.path)] if self._own else ())]
            stamp = tuple(names), self._own.count if self._own else 0
            if self._made[0] != stamp:
                self._made = stamp, self._all_made(names)
            return self._made[1].get(path, ())

    def _all_made(self, names: Sequence[str]) -> dict[bytes, list[int]]:
        found: dict[bytes, list[int]] = {}
        for name in names:
            with suppress(FileNotFoundError):
                for call in Recording(os.path.join(self._directory, name)).read():
                    for path in call.paths.split(b"\0"):
                        found.setdefault(path, []).append(call.time)
        return found

    def outputs(self, thunks: Iterable[ThunkId]) -> list[bytes]:
        """What the calls of these thunks were to make."""
        with self._lock:
            wanted, found = set(thunks), []
            for recording in self._recordings:
                with suppress(FileNotFoundError):
                    calls = [call for call in recording.read() if call.thunk in wanted]
                    found += [path for call in calls for path in call.paths.split(b"\0")]
            return sorted(set(found))

    def told(self, thunks: Iterable[ThunkId]) -> None:
        """Note that the end of all calls of these thunks was told."""
        marks: dict[Recording, list[int]] = {}
        with self._lock:
            for thunk in thunks:
                self._known.add(thunk)
                for recording, place in self._owed.pop(thunk, ()):
                    marks.setdefault(recording, []).append(place)
            for recording, places in marks.items():
                recording.mark(places)

    def failed(self, thunks: Sequence[ThunkId], *, matters: bool = True) -> None:
        """Note that these have failed. The failures that are not excused stand until a recording tells the caller.

        `matters`: calls of this recording need one of these, or are among them. If not, they are of an earlier recording, and what
        they were to make is not read.
        """
        with self._lock:
            new = [thunk for thunk in thunks if thunk not in self._standing]
            self._failed.update(new)
            stand = matters or not self._records
            excused = [thunk for thunk in new if self.is_excused(thunk) or not stand]
            if excused:
                self._append([*excused, ThunkId(_BEGUN), *self._standing])
                new = [thunk for thunk in new if thunk not in excused]
            self._standing += new
            self._append(new)

    def stands(self, thunk: ThunkId) -> bool:
        """Whether the thunk is known to have failed, and its caller has not been told, or has not minded."""
        return thunk in self._standing or (thunk in self._failed and self.is_excused(thunk))

    def answered(self, thunks: Collection[ThunkId], paths: Iterable[bytes]) -> None:
        """Note that the callers of these, which have failed or need one that has, have been told: nothing stands by them any more.
        `paths`: what they were to make, which nobody believes to be made now.
        """
        with self._lock:
            self.told(thunks)
            self._unmade.difference_update(paths)
            if any(thunk in self._standing for thunk in thunks):
                self._standing = [thunk for thunk in self._standing if thunk not in thunks]
                self._append([ThunkId(_BEGUN), *self._standing])

    def is_excused(self, thunk: ThunkId) -> bool:
        """Whether the callers drop the status of all calls of the thunk. If so, its failure is shown and fails nothing else."""
        return self._excused.get(thunk, False)

    def excuses_any(self) -> bool:
        return any(self._excused.values())

    def _excuse(self, thunk: ThunkId, excused: bool) -> None:
        self._excused[thunk] = excused and self._excused.get(thunk, True)

    def is_recorded_now(self, thunk: ThunkId) -> bool:
        """Whether a call of the thunk belongs to this recording."""
        return thunk in self._recorded_now

    def unmade(self, paths: Iterable[bytes]) -> None:
        """Note that these outputs of calls of this recording will not be made: their commands have failed, or need an output of a
        command that has.
        """
        if self._records:
            self._unmade.update(paths)
            if self._unmade:  # for the interposer: only if this exists does it ask about each file that a program makes
                with suppress(OSError), open(self._unmade_path, "wb"):
                    pass

    @property
    def has_unmade(self) -> bool:
        return bool(self._unmade)

    def is_unmade(self, path: bytes) -> bool:
        """Whether a call of this recording was told that it went well, but has failed to make `path`."""
        return path in self._unmade

    def mended(self, thunks: Iterable[ThunkId]) -> None:
        """Note that these have succeeded."""
        if not self._failed:
            return
        with self._lock:
            gone = self._failed.intersection(thunks)
            if gone:
                self._failed -= gone
                self._standing = [thunk for thunk in self._standing if thunk not in gone]
                self._rewrite([thunk for thunk in self._read_failed() if thunk not in gone])

    def forget(self) -> None:
        """Treat the end of all calls as told, and let no failure stand."""
        self.load()
        with self._lock:
            self.told(list(self._owed))
            if self.standing():
                self._append([ThunkId(_BEGUN)])
        self.close()

    def close(self) -> None:
        with self._lock:
            for recording in (*self._recordings, *([self._own] if self._own else ())):
                recording.close()
            self._recordings, self._own = [], None

    # Failed thunks

    def _read_failed(self) -> list[ThunkId]:
        try:
            with open(self._failed_path, "rb", buffering=0) as file:
                data = file.read() or b""
        except FileNotFoundError:
            return []
        return [ThunkId(data[at : at + DIGEST_SIZE]) for at in range(0, len(data) - DIGEST_SIZE + 1, DIGEST_SIZE)]

    def _append(self, ids: Sequence[ThunkId]) -> None:
        with open(self._failed_path, "ab", buffering=0) as file:
            file.write(b"".join(ids))

    def _rewrite(self, ids: Sequence[ThunkId]) -> None:
        aside = f"{self._failed_path}.{os.getpid()}"
        with open(aside, "wb") as file:
            file.write(b"".join(ids))
        os.rename(aside, self._failed_path)


def _after_last(ids: Sequence[ThunkId], mark: bytes) -> int:
    return next((at for at in range(len(ids), 0, -1) if ids[at - 1] == mark), 0)
