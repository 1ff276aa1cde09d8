"""The workspace: a directory tree that a build runs in, and where its state is, outside of the tree.

A state home (`~/.cache/gg`; `gg.workspace.homes.state_homes`) has

store/             the directory store of all workspaces of this user: blobs, thunks, groups, reductions
files.db, answers  what is known of the system's files, and what tools said of themselves
workspaces/<id>/   the records of one workspace, found by its path (`gg.workspace.roots`)

and the records of a workspace are

root               the directory that they are about
tmp/               files being written, scratch of attempts; cleared when nobody uses it
answers            what compilers said of themselves in earlier sessions
recall             what sources were found to read in earlier sessions
files.db           digests of the tree's files
shims/             symbolic links to the shim, one for each tool name seen on PATH
history.jsonl      a line for each gg-infer and gg-force that has ended
builds/            a file for each that runs (`gg.workspace.running`)

A user can have records and store together in one directory instead: `GG_DIR`, or one in `.gg/` at the top of the tree
(`gg init --in-tree`; `gg.workspace.in_tree`).
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from gg.core import placeholder
from gg.core.placeholder import Placeholder
from gg.errors import StoreError, UsageError
from gg.light.slotted import slotted
from gg.workspace import homes, roots
from gg.workspace import settings as config

if TYPE_CHECKING:
    from gg.host.placeholders import Search

DOT = ".gg"


@slotted()
class Workspace:
    """A workspace. `root`, its directory, is absolute and free of symbolic links.

    `dot`: the directory of its records; never assume that it is in the tree. `store`: the directory of the store, which other
    workspaces use too. `home`: the state home, empty if records and store are in a directory of their own. `common`: the
    directory of what is known of the system's files and tools.
    """

    root: str
    dot: str
    store: str
    home: str = ""

    @property
    def tmp(self) -> str:
        return os.path.join(self.dot, "tmp")

    @property
    def shims(self) -> str:
        return os.path.join(self.dot, "shims")

    @property
    def history(self) -> str:
        return os.path.join(self.dot, "history.jsonl")

    @property
    def common(self) -> str:
        return self.home or homes.cache_home()

    @classmethod
    def at(cls, root: str, dot: str) -> Workspace:
        """The workspace whose records and store are both in the directory `dot`."""
        return cls(root, dot, dot)

    @classmethod
    def kept_in(cls, home: str, root: str, records: str) -> Workspace:
        return cls(root, records, os.path.join(home, "store"), home)

    @classmethod
    def every(cls, home: str) -> Iterator[Workspace]:
        """All workspaces of a state home whose directories are there."""
        for records, root in roots.every(home):
            if os.path.isdir(root.path):
                yield cls.kept_in(home, root.path, records)

    @classmethod
    def find(cls, start: str = ".") -> Workspace | None:
        """The nearest workspace at or above `start`; but if `GG_DIR` names one, that one."""
        named, here = config.gg_dir(), os.path.realpath(start)
        if named:
            from gg.workspace.state_directory import is_state, need_plain

            dot = os.path.realpath(named)
            if not is_state(dot) or roots.may_be_anothers(dot):
                return None
            need_plain(dot)
            return cls.at(_root_of(dot, here), dot)
        places, first = homes.believed_homes(), here
        while True:
            if here == first or not _swallows(here):
                found = cls._here(here, places)
                if found is not None:
                    return found
            above = os.path.dirname(here)
            if above == here:
                return None
            here = above

    @classmethod
    def _here(cls, path: str, homes: tuple[str, ...]) -> Workspace | None:
        if os.path.lexists(os.path.join(path, DOT)) and (inside := _inside(path)):
            return cls.at(path, inside)
        found = [cls.kept_in(home, path, records) for home in homes if (records := roots.find(home, path))]
        return max(found, key=_last_used) if len(found) > 1 else next(iter(found), None)

    @classmethod
    def need(cls, start: str = ".") -> Workspace:
        """`find`, or UsageError with what to do."""
        found = cls.find(start)
        if found is None:
            raise UsageError(
                "no workspace here: nothing was recorded in this directory or above it",
                hint="record a build first: gg-infer make",
            )
        return found

    @classmethod
    def create(cls, start: str = ".", tell: Callable[[str], None] = lambda text: None) -> Workspace:
        """The workspace at or above `start`, made at `start` when there is none. StoreError when it cannot be made.

        `tell(text)` is called if its state has to be at an unusual place.
        """
        found = cls.find(start)
        if found is None or config.gg_dir():
            found = cls.new(start, tell)
        elif found.home:
            found._renew()
        found.make()
        return found

    def _renew(self) -> None:
        """Forget the calls that were recorded in another directory, which was at this path before."""
        from gg.workspace.ledger import Ledger

        ledger = Ledger(self.dot)
        with suppress(OSError):  # the next write will report it
            if roots.is_made_anew(self.dot, self.root, closely=ledger.owes()):
                ledger.forget()
                roots.renew(self.home, self.dot, self.root)

    @classmethod
    def new(
        cls, start: str = ".", tell: Callable[[str], None] = lambda text: None, *, in_tree: bool = False
    ) -> Workspace:
        """A workspace whose directory is `start` itself; its records and store are not made yet. StoreError, UsageError."""
        named, root = config.gg_dir(), os.path.realpath(start)
        if named:
            return _named(os.path.realpath(named), root)
        if in_tree:
            return cls._in_tree(root)
        from gg.workspace.state_directory import make_private

        home = homes.cache_home()
        usual = homes.state_homes()[0]
        try:
            make_private(home)
            made = cls.kept_in(home, root, roots.register(home, root))
        except OSError as error:
            tell(f"gg's state is in {root}/{DOT}: no other place can be written ({error.strerror})")
            return cls._in_tree(root)
        if os.path.lexists(os.path.join(root, DOT)):
            _tell_of_strange(root, tell)
        if home != usual:
            tell(f"gg's state is in {home}: {usual} cannot be written")
        return made

    @classmethod
    def _in_tree(cls, root: str) -> Workspace:
        from gg.workspace import in_tree

        return cls.at(root, in_tree.make(root, homes.kept_home()))

    def make(self) -> None:
        """Make the directory of records and its contents, closed to others. StoreError when it cannot be made."""
        top = self.home or self.dot
        try:
            if not _is_ready(top):
                from gg.workspace.state_directory import begin

                begin(top, in_tree=top.startswith(self.root.rstrip("/") + "/"))
            os.makedirs(self.tmp, exist_ok=True)
        except OSError as error:
            if os.path.isdir(self.tmp):
                self.need_writable()
            raise StoreError(
                f"cannot make {self.dot}: {error.strerror}",
                hint="gg needs a place to write: set GG_DIR or XDG_CACHE_HOME",
            ) from error
        self.need_writable()
        self.remove_scratch()

    def remove_scratch(self) -> None:
        """Remove what ended processes have left in `tmp`; names there carry a process's number."""
        for name in os.listdir(self.tmp):
            number = re.match(r"(?:[a-z]+|\.gg-)(\d+)", name)
            if number and not os.path.exists(f"/proc/{number[1]}"):
                full = os.path.join(self.tmp, name)
                if name.endswith(".in"):
                    _remove_near(full)
                with suppress(OSError):
                    _remove(full)

    def need_writable(self) -> None:
        """StoreError when nothing can be written among the records."""
        if not os.access(self.tmp, os.W_OK):
            raise StoreError(
                f"cannot write in {self.dot}", hint="gg needs a place to write: set GG_DIR or XDG_CACHE_HOME"
            )

    def remove(self) -> None:
        """Remove the records, and the store if no other workspace uses it. OSError."""
        if self.home:
            roots.forget(self.home, self.dot)
        elif os.path.basename(os.path.dirname(self.dot)) == DOT:
            from gg.workspace import in_tree

            in_tree.remove(self.dot, homes.home())
        else:
            from gg.workspace.state_directory import remove_own

            remove_own(self.dot)

    def search(self) -> Search:
        """Begins to look for the placeholders below the root."""
        return search(self.root, self.dot)

    def placeholders(self) -> dict[bytes, Placeholder]:
        """Every placeholder below the root, by its absolute path, and those that a build left elsewhere. State, `.git` and
        symbolic links are not entered.
        """
        return {**self.search().found(), **self.noted_outside()[0]}

    def noted_outside(self) -> tuple[dict[bytes, Placeholder], list[bytes]]:
        """The noted placeholders that a search of the tree may miss, and noted paths that nobody can look at now."""
        if not os.path.exists(os.path.join(self.dot, "outside")):
            return {}, []
        from gg.workspace.outside import look

        return look(self.dot)


def search(directory: str, dot: str = "") -> Search:
    """Begins to look for the placeholders below `directory`. Neither gg's state nor `dot` is entered."""
    from gg.host.placeholders import Search

    places = {dot, config.gg_dir(), *homes.state_homes()}
    inside = (os.path.realpath(place) for place in places if place)
    return Search(directory, sorted(place for place in inside if place.startswith(directory.rstrip("/") + "/")))


def _named(dot: str, root: str) -> Workspace:
    """The workspace with its state in `dot`, the value of GG_DIR, for a user who works in `root`."""
    from gg.workspace.state_directory import is_state, make_private, need_plain

    if len(os.fsencode(dot)) > homes.MOST_OF_A_PATH:
        raise UsageError(f"the path of GG_DIR is too long for a database: {dot}", hint="name a shorter one")
    if os.path.isdir(dot) and not is_state(dot):
        raise UsageError(
            f"GG_DIR is {dot}, which holds other things than gg's state", hint="name a directory of its own"
        )
    need_plain(dot)
    if roots.may_be_anothers(dot):
        hint = "name one in a directory where others cannot write, or remove it"
        raise UsageError(f"GG_DIR is {dot}, which another user may have put there", hint=hint)
    top = _root_of(dot, root)
    if top != root and not f"{root}/".startswith(f"{top.rstrip('/')}/"):
        top = root
    try:
        make_private(dot)
        known = roots.read(dot)
        if dot != os.path.join(top, DOT) and (known is None or known.path != top):
            roots.note(dot, top)
    except OSError as error:
        if not os.path.isdir(dot):
            raise StoreError(f"cannot make {dot}: {error.strerror}", hint="GG_DIR is to be a directory") from error
    return Workspace.at(top, dot)


def _root_of(dot: str, here: str) -> str:
    """The directory of the workspace whose state is in `dot`; `here` if nothing says which."""
    known = roots.read(dot)
    if known is not None and os.path.isdir(known.path):
        return known.path
    return os.path.dirname(dot) if os.path.basename(dot) == DOT else here


def _inside(root: str) -> str | None:
    """The path of this user's state in the tree at `root`; None if there is none, or its path is too long for SQLite."""
    from gg.workspace import in_tree
    from gg.workspace.state_directory import need_plain

    found = in_tree.find(root, homes.kept_home())
    if found is None or len(os.fsencode(found)) > homes.MOST_OF_A_PATH:
        return None
    need_plain(found)
    return found


def _tell_of_strange(root: str, tell: Callable[[str], None]) -> None:
    from gg.workspace import in_tree

    if in_tree.is_strange(root):
        tell(
            f"the state in {os.path.join(root, DOT)!r} is not used: it was not put there by you (gg trust --state allows it)"
        )


def _last_used(workspace: Workspace) -> float:
    """When the last run ended, to choose between records in two homes, made with HOME set and without."""
    try:
        return os.stat(workspace.history).st_mtime
    except OSError:
        return 0.0


def _swallows(path: str) -> bool:
    """Whether a directory is too wide to be the workspace of what is below: the root, a home, one where everybody may write."""
    if path in ("/", os.path.realpath(homes.user_home() or "/")):
        return True
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return bool(mode & stat.S_ISVTX and mode & stat.S_IWOTH)


def _is_ready(top: str) -> bool:
    """Whether a directory of state is closed to others, and marked as one."""
    try:
        return not os.stat(top).st_mode & 0o77 and os.path.lexists(os.path.join(top, "CACHEDIR.TAG"))
    except OSError:
        return False


def _remove_near(note: str) -> None:
    """Remove the file that a killed gg-place may have left beside a path. `note`: the file in which it wrote where."""
    with suppress(OSError), open(note, "rb") as file:
        name = os.fsencode(os.path.basename(note).removesuffix(".in"))
        os.unlink(os.path.join(file.read(), b".gg-" + name))


def _remove(path: str) -> None:
    if os.path.isdir(path):
        from gg.host.emptying import remove

        remove(path)
    else:
        os.unlink(path)


def read_placeholder(path: bytes, size: int | None = None) -> Placeholder | None:
    """The placeholder at `path`; None when the file is another one or is not there."""
    try:
        if size is None:
            size = os.stat(path).st_size
        if size != placeholder.SIZE:
            return None
        with open(path, "rb", buffering=0) as file:
            return placeholder.parse(file.read(placeholder.SIZE + 1))
    except OSError:
        return None
