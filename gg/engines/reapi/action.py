"""Makes an action of a cluster from an attempt: a command, an input root, and what gg's own programs need.

The action runs `gg-act` (`toolchain-wrappers/act/act.c`), which travels with it, as the path map does. So a worker needs nothing
but a kernel, and gg learns what the command reads, misses and writes, as on every other engine. In the root, beside the inputs:

    gg-action/act, gg-action/pathmap.so, gg-action/spec    what runs the command
    gg-out/w, gg-out/gone, gg-out/report, gg-out/told      what it wrote, removed, asked for, and how it ended

If a cluster shows the input root as `/`, inputs are at their own paths. A program that no preloaded library can see into runs
there as it is (`plain`): nothing undeclared exists for the program, but nobody learns what it reads, or writes besides its outputs.
On other clusters inputs are below `root/`, and the path map shows them at their own paths.
"""

from __future__ import annotations

import os
from collections import ChainMap
from collections.abc import Sequence

from gg.core.colour import TERMINAL, TERMINFO, asks
from gg.core.ids import BlobId, GroupId, SandboxPath
from gg.core.thunk import Directory, Entry, File, OutputOf, Symlink, Thunk
from gg.engines.reapi.act_start import INPUTS, ROOT, SPECS, ProgramStart, Starter, arguments_of
from gg.engines.reapi.cas import Source, digest_of
from gg.engines.reapi.cluster import ClusterConfig
from gg.engines.reapi.hashed_blobs import HashedBlobs
from gg.engines.reapi.input_tree import Folder, InputTrees, Leaf, make_folder, put, settle
from gg.engines.reapi.messages import ActionMessage, CommandMessage, Digest, Platform, Property, encode
from gg.errors import FormatError
from gg.host import native_programs as native
from gg.light.named import NamedTuple
from gg.run import pathmap
from gg.run.expand import Groups

OUT = "gg-out"
TOLD, REPORT, WRITTEN, REMOVED = f"{OUT}/told", f"{OUT}/report", f"{OUT}/w", f"{OUT}/gone"
_OWN = b"gg-action"
_TMP = ROOT + b"/gg-out/tmp"
_PASSED = (b"/dev", b"/proc", b"/sys/devices/system/cpu")


class MadeAction(NamedTuple):
    """`blobs`: all that the cluster must have. `entries`: the inputs in the order of the path map's marks. `asked`: see
    `gg.core.colour.marked`. `plain`: it runs without the path map. `lacking`: undeclared paths at which the loader looks.
    """

    digest: Digest
    blobs: dict[Digest, Source]
    entries: tuple[Entry, ...]
    asked: bytes
    plain: bool
    lacking: tuple[SandboxPath, ...] = ()


class ActionMaker:
    """Makes actions for one cluster. For any thread."""

    def __init__(self, cluster: ClusterConfig, groups: Groups, blobs: HashedBlobs, *, paths: bool = True) -> None:
        """`paths`: the cluster knows `output_paths`."""
        self._cluster = cluster
        self._groups = groups
        self._blobs = blobs
        self._paths = paths
        self._starter = Starter(blobs.place, relative=cluster.relative)
        self._trees = InputTrees(groups, blobs.digest)
        self._platform = Platform(tuple([Property(*pair) for pair in cluster.platform])) if cluster.platform else None
        self._ours = {
            name: _read(path) for name, path in ((b"act", native.actor()), (b"pathmap.so", native.pathmap_library()))
        }
        self._below: dict[tuple[GroupId, ...], dict[SandboxPath, Entry]] = {}
        self._in_groups: dict[tuple[GroupId, ...], dict[Digest, Source]] = {}

    def make(
        self, thunk: Thunk, extra: Sequence[File], directories: Sequence[SandboxPath], *, plain: bool = False
    ) -> MadeAction:
        """The action of a thunk. Lacking, InputChanged; FormatError if no action can be made of it."""
        own: list[File | Symlink | Directory] = [
            *extra,
            *map(Directory, directories),
            *(e for e in thunk.entries if not isinstance(e, OutputOf)),
        ]
        below = self._shared(thunk.groups)
        started = self._starter.start(thunk, ChainMap({e.path: e for e in reversed(own)}, below))
        plain = plain or not started.mapped
        if plain and self._cluster.relative:
            raise FormatError("is linked statically, or starts what is: it can only run where the input root is /")
        top = self._tree(thunk, own)
        blobs: dict[Digest, Source] = dict(self._files(thunk.groups))
        blobs.update(self._blobs.sources([e for e in own if isinstance(e, File)]))
        spec = self._spec(thunk, own, started, plain=plain)
        for name, data in {**self._ours, b"spec": spec}.items():
            _put_blob(top, _OWN + b"/" + name, data, blobs, executable=name == b"act")
        if specs := arguments_of(thunk)[1]:
            _put_blob(top, SPECS, specs, blobs, executable=False)
        for path, file in started.libraries:
            put(top, path, Leaf(self._blobs.digest(file), file.executable))
        root = settle(top, blobs)
        command = encode(self._command(thunk, plain=plain))
        action = encode(ActionMessage(digest_of(command), root, self._platform))
        blobs.update({digest_of(command): lambda: command, digest_of(action): lambda: action})
        entries = (*own, *(e for node in self._groups.below(thunk.groups) for e in node.entries))
        return MadeAction(digest_of(action), blobs, entries, asks(thunk), plain, started.lacking)

    def _tree(self, thunk: Thunk, own: Sequence[File | Symlink | Directory]) -> Folder:
        """The root with all inputs."""
        tree = self._trees.tree(thunk.groups, own)
        if not self._cluster.relative:
            for path in (b"/tmp", b"/dev", b"/proc", thunk.cwd, *(os.path.dirname(o.path) for o in thunk.outputs)):
                make_folder(tree, path)
            return tree
        top = Folder()
        top.inside[INPUTS.lstrip(b"/")] = tree
        return top

    def _command(self, thunk: Thunk, *, plain: bool) -> CommandMessage:
        directories: tuple[str, ...] = () if plain else (WRITTEN, REMOVED)
        files = (TOLD, *([os.fsdecode(o.path.lstrip(b"/")) for o in thunk.outputs] if plain else [REPORT]))
        arguments = ("gg-action/act", "gg-action/spec", OUT)
        if self._paths:
            return CommandMessage(
                arguments, platform=self._platform, output_paths=tuple(sorted((*files, *directories)))
            )
        return CommandMessage(
            arguments,
            platform=self._platform,
            output_files=tuple(sorted(files)),
            output_directories=tuple(sorted(directories)),
        )

    def _spec(
        self, thunk: Thunk, own: Sequence[File | Symlink | Directory], started: ProgramStart, *, plain: bool
    ) -> bytes:
        """The file that tells gg-act what to do."""
        asked = asks(thunk)
        read = {e.path for e in own}
        records = [self._record(e) for e in own]
        records += [self._record(e) for node in self._groups.below(thunk.groups) for e in node.entries]
        records += [pathmap.absent(o.path) for o in thunk.outputs if o.path not in read]
        records += map(pathmap.absent, TERMINFO if asked else ())
        records += map(pathmap.passed, (_TMP, *_PASSED))
        records += [*started.records, pathmap.record(File(SandboxPath(ROOT + SPECS), BlobId.of(b"")))]
        body = b"".join(records)
        env = {**dict(thunk.env), **(TERMINAL if asked else {}), **dict(started.env)}
        flags = pathmap.ALIEN | pathmap.MISSES | (pathmap.TERMINAL * bool(asked))
        words: list[bytes] = [
            b"plain" if plain else b"mapped",
            b"%d" % flags,
            b"%d" % (body.count(b"\0") // 2),
            ROOT + b"/gg-action/pathmap.so",
            _TMP,
            thunk.cwd,
            started.program,
            b"%d" % len(started.argv),
            *started.argv,
            b"%d" % len(env),
            *[name + b"=" + value for name, value in sorted(env.items())],
        ]
        if any(ROOT in word for word in (*thunk.argv, *env, *env.values())):
            raise FormatError("it has a control character among its arguments")
        return b"".join([word + b"\0" for word in words]) + body

    def _record(self, entry: File | Symlink | Directory) -> bytes:
        return pathmap.record(
            entry, ROOT + INPUTS + entry.path if self._cluster.relative and isinstance(entry, File) else b""
        )

    def _shared(self, groups: tuple[GroupId, ...]) -> dict[SandboxPath, Entry]:
        known = self._below.get(groups)
        if known is None:
            known = self._below[groups] = self._groups.entries(groups)
        return known

    def _files(self, groups: tuple[GroupId, ...]) -> dict[Digest, Source]:
        known = self._in_groups.get(groups)
        if known is None:
            known = self._blobs.sources([e for e in self._shared(groups).values() if isinstance(e, File)])
            self._in_groups[groups] = known
        return known


def _put_blob(top: Folder, path: bytes, data: bytes, blobs: dict[Digest, Source], *, executable: bool) -> None:
    digest = digest_of(data)
    blobs[digest] = lambda: data
    put(top, path, Leaf(digest, executable))


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
