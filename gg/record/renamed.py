"""A thunk as it is with the workspace under its fixed name, so that another checkout directory has the same one.

Left at its own path is a call whose product is to find something through the workspace's path when it is used (`-D`, a
run path, a shared library linked by its path, a thin archive's members, profile and coverage data), one whose paths nix's
wrapper judges by where they lie, and one that may reach out of the workspace by relative names, which would lead elsewhere
from another place. Such a thunk is as it would be without the setting.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise

from gg.core.ids import BlobId, GroupId, sandbox_path
from gg.core.renaming import Renaming
from gg.core.thunk import Entry, File, Group, OutputOf, Symlink, Thunk, Work
from gg.light.named import NamedTuple
from gg.light.regex import regex

_AT_RUN_TIME = (b"LD_LIBRARY_PATH", b"LD_RUN_PATH")
_PROFILES = (b"-fprofile", b"-fauto-profile", b"-fcs-profile", b"--coverage", b"-coverage", b"-ftest-coverage")
_DEFINES = regex(rb"(?:-Wp,|-Wa,)?(?:-D|--defsym)")
_LINKER_OUT_OF_SIGHT = regex(  # what of a link's arguments does not come to stand in its product
    rb"-L|-B|-o|-I|-isystem|-T|@|-Wl,(?:-Map|--Map|--version-script|-T|--script|-L|-rpath-link|--rpath-link|--whole-archive"
    rb"|--start-group|--dependency-file|--dynamic-list|--retain-symbols-file)|--version-script|-Map|-f[a-z]+-prefix-map="
    rb"|-rpath-link|--rpath-link|-M[FTQD]|-specs|--sysroot|-plugin|-include"
)
_SEARCHED = (b"-I", b"-L", b"-B", b"-isystem", b"-idirafter", b"-iquote", b"-include", b"-imacros")
_SHARED = regex(rb"\.so[0-9.]*$")
_WORDS = regex(rb"(\s+)")


class _Renamed(NamedTuple):
    """A group under its new name, and what below it is neither in the workspace nor the system's."""

    id: GroupId
    foreign: frozenset[bytes]


class Renamer:
    """Renames the thunks of a session. `group`, `put_group`, `put`: of what is being recorded."""

    def __init__(
        self,
        renaming: Renaming,
        *,
        group: Callable[[GroupId], Group],
        put_group: Callable[[Group], GroupId],
        put: Callable[[bytes], BlobId],
        stable: Callable[[bytes], bool],
    ) -> None:
        self._names = renaming
        self._top = renaming.real + b"/"
        self._group = group
        self._put_group = put_group
        self._put = put
        self._stable = stable
        self._known: dict[GroupId, _Renamed] = {}
        self._words: dict[bytes, bytes] = {}

    def thunk(self, thunk: Thunk) -> Thunk:
        """The thunk renamed, or as it is."""
        if not (thunk.cwd + b"/").startswith(self._top):
            return thunk
        responses = self._responses(thunk)
        words = [*thunk.argv, *(word for text in responses.values() for word in text.split())]
        if self._is_needed(thunk, words) or self._climbs(thunk.cwd, words):
            return thunk
        groups = [self._renamed(each) for each in thunk.groups]
        foreign = frozenset(self._foreign(thunk.entries)).union(*(g.foreign for g in groups))
        if foreign and not self._are_named(foreign, thunk):
            return thunk
        return self._made(thunk, groups, responses)

    def _made(self, thunk: Thunk, groups: Sequence[_Renamed], responses: dict[bytes, bytes]) -> Thunk:
        path = self._names.thunk_path
        env = tuple([(name, self._inside(value)) for name, value in thunk.env])
        argv = tuple([self._inside(word) for word in thunk.argv])
        entries = [self._entry(e) for e in self._without_aliases(thunk.entries, (*argv, *(v for _, v in env)))]
        return thunk._replace(
            argv=argv,
            program=path(thunk.program),
            cwd=path(thunk.cwd),
            env=env,
            entries=tuple(sorted((self._response(e, responses) for e in entries), key=_by_path)),
            groups=tuple(sorted({g.id for g in groups})),
            outputs=tuple([output._replace(path=path(output.path)) for output in thunk.outputs]),
        )

    def _inside(self, word: bytes) -> bytes:
        known = self._words.get(word)
        if known is None:
            known = self._words[word] = self._names.thunk_text(word)
        return known

    # What stays

    def _is_needed(self, thunk: Thunk, words: Sequence[bytes]) -> bool:
        """Whether what is made needs the workspace's own path when it runs."""
        mentions = self._names.mentions
        if any(name in _AT_RUN_TIME and mentions(value) for name, value in thunk.env):
            return True
        if any(word.startswith(_PROFILES) for word in words) or self._is_judged(thunk, words):
            return True
        before = b""
        thin = thunk.work is Work.ARCHIVE and _may_be_thin(thunk)
        for word in words[1:]:
            if mentions(word) and (thin or self._stands_in_product(word, before, thunk.work)):
                return True
            before = word
        return False

    def _is_judged(self, thunk: Thunk, words: Sequence[bytes]) -> bool:
        """Whether nix's wrapper of the compiler may leave a path out for where it lies, as NIX_ENFORCE_PURITY tells it to."""
        env, mentions = dict(thunk.env), self._names.mentions
        if env.get(b"NIX_ENFORCE_PURITY") != b"1" or not env.get(b"NIX_STORE"):
            return False
        if any(mentions(env[name]) for name in env if name.startswith(b"NIX_") and name != b"NIX_BUILD_TOP"):
            return True
        named = [(before, word) for before, word in pairwise(words) if mentions(word)]
        link = thunk.work is Work.LINK
        return any(link or word.startswith(b"-") or before in _SEARCHED for before, word in named)

    def _stands_in_product(self, word: bytes, before: bytes, work: Work) -> bool:
        word = word.lstrip(b"\"'")
        if _DEFINES.match(word) or before in (b"-D", b"-d", b"--defsym"):
            return True
        if work is not Work.LINK:
            return False
        if word.startswith(b"/"):  # an operand, or an option's value
            return before in _WITH_VALUE or (before != b"-o" and _SHARED.search(word) is not None)
        return _LINKER_OUT_OF_SIGHT.match(word) is None

    def _climbs(self, cwd: bytes, words: Iterable[bytes]) -> bool:
        """Whether a word may lead out of the workspace by `..`; too often is no harm."""
        deep = cwd.count(b"/") - self._names.real.count(b"/")
        return any(word.count(b"..") > deep for word in words if b".." in word)

    def _foreign(self, entries: Iterable[Entry]) -> Iterator[bytes]:
        for entry in entries:
            path = entry.path
            if isinstance(entry, (File, OutputOf)) and not (path.startswith(self._top) or self._stable(path)):
                yield path

    def _are_named(self, foreign: Iterable[bytes], thunk: Thunk) -> bool:
        """Whether all are below a directory that an absolute name leads to, the compiler's own included."""
        text = b"\0".join((*thunk.argv, *(value for _, value in thunk.env)))
        own = os.path.dirname(os.path.dirname(thunk.program))
        return all(_is_below(path, own) or self._is_named(path, text) for path in foreign)

    def _is_named(self, path: bytes, text: bytes) -> bool:
        while not (self._top.startswith(path + b"/") or path == b"/"):
            if path in text:
                return True
            path = os.path.dirname(path)
        return False

    # What is renamed

    def _entry(self, entry: Entry) -> Entry:
        path = self._names.thunk_path(entry.path)
        if isinstance(entry, Symlink):
            return Symlink(path, self._target(entry))
        return entry if path == entry.path else entry._replace(path=path)

    def _target(self, link: Symlink) -> bytes:
        """Where it leads, by a relative name only if that stays in the workspace, or stays out of it."""
        full = sandbox_path(link.target, os.path.dirname(link.path))
        inside = self._names.thunk_path(full)
        if link.target.startswith(b"/"):
            return self._inside(link.target)
        crosses = (full != inside) != (self._names.thunk_path(link.path) != link.path)
        return inside if crosses else link.target

    def _without_aliases(self, entries: Iterable[Entry], words: Iterable[bytes]) -> list[Entry]:
        """Without the links that only led to the workspace by another name, by which nothing calls it any more."""
        text = b"\0".join(words)
        idle = [a for a in self._names.aliases if a not in text]
        return [e for e in entries if not (isinstance(e, Symlink) and any(_is_below(a, e.path) for a in idle))]

    def _renamed(self, top: GroupId) -> _Renamed:
        """Without recursion: headers that include each other in a chain are groups in a chain."""
        stack = [top]
        while top not in self._known:
            group = self._group(stack[-1])
            waiting = [each for each in group.groups if each not in self._known]
            if waiting:
                stack += waiting
                continue
            self._known[stack.pop()] = self._one(group)
        return self._known[top]

    def _one(self, group: Group) -> _Renamed:
        below = [self._known[each] for each in group.groups]
        foreign = frozenset(self._foreign(group.entries)).union(*(each.foreign for each in below))
        entries = [self._entry(e) for e in group.entries]
        plain = tuple(sorted((e for e in entries if not isinstance(e, OutputOf)), key=_by_path))
        return _Renamed(self._put_group(Group(plain, tuple(sorted({each.id for each in below})))), foreign)

    # Response files

    def _responses(self, thunk: Thunk) -> dict[bytes, bytes]:
        """Those that name the workspace, by path, with their text."""
        found: dict[bytes, bytes] = {}
        for word in thunk.argv:
            if word.startswith(b"@"):
                path = sandbox_path(word[1:], thunk.cwd)
                with open(path, "rb") as file:
                    text = file.read()
                if self._names.mentions(text):
                    found[path] = text
        return found

    def _response(self, entry: Entry, responses: dict[bytes, bytes]) -> Entry:
        text = responses.get(self._names.real_path(entry.path)) if responses else None
        if text is None or not isinstance(entry, File):
            return entry
        return entry._replace(blob=self._put(b"".join([self._inside(word) for word in _WORDS.split(text)])))


def _may_be_thin(thunk: Thunk) -> bool:
    """Whether the archive may hold names of files in place of them: it is made so, or was made by another call."""
    before = {e.path for e in thunk.entries}
    letters = b"".join([*thunk.argv[1:2], *(word for word in thunk.argv[2:] if word.startswith(b"-"))])
    return b"T" in letters or b"--thin" in letters or any(output.path in before for output in thunk.outputs)


def _by_path(entry: Entry) -> bytes:
    return entry.path


def _is_below(path: bytes, directory: bytes) -> bool:
    return path == directory or path.startswith(directory.rstrip(b"/") + b"/")


_WITH_VALUE = frozenset(  # options of a link whose next word stands in the product, or may
    b"-rpath --rpath -R -soname --soname -h -dynamic-linker --dynamic-linker -Xlinker -init -fini -f -F "
    b"--auxiliary --filter -Wl,-rpath -Wl,--rpath -Wl,-R -Wl,-soname -Wl,-h -Wl,-dynamic-linker -Wl,--dynamic-linker "
    b"-Wl,-init -Wl,-fini -Wl,-f -Wl,-F -u -e -z -a -A -Ttext --section-start".split()
)
