"""System headers resolved once for all contexts that have the same system directories on their search paths.

Every directory of a build has a search path of its own, but most of a unit's headers come from system directories that
are the same for all. The system directories that stay as they are for the session (`Disk.stable`) make a context too, the
*lender*, with clusters of its own. The other directories of a context are its *own*. A context searches its own directories
up to the first shared one, then asks the lender. It takes the lender's node, with the whole cluster below, if the cluster
would be the same here: no name that it takes from the search path starts with anything that is in an own directory.
Otherwise the header is resolved as if nothing were shared.

A name that appears later in one of the own directories makes the borrower start anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from gg.models.includes.chain import SearchPlace, lasting
from gg.models.includes.directives import Form
from gg.models.includes.include_graph import Cluster, IncludeEdge, IncludeNode
from gg.models.includes.tree import SearchedDirectory, SearchedTree
from gg.models.includes.validity import Validity

# The form in which the lender is asked for a name that was not found before its directories start.
_FORM = {
    Form.QUOTED: Form.BRACKETED,
    Form.BRACKETED: Form.BRACKETED,
    Form.NEXT_QUOTED: Form.BRACKETED,
    Form.NEXT_BRACKETED: Form.BRACKETED,
    Form.FORCED: Form.BRACKETED,
    Form.EMBEDDED_BRACKETED: Form.EMBEDDED_BRACKETED,
    Form.ASKED_QUOTED: Form.ASKED_BRACKETED,
    Form.ASKED_BRACKETED: Form.ASKED_BRACKETED,
    Form.ASKED_NEXT_QUOTED: Form.ASKED_BRACKETED,
    Form.ASKED_NEXT_BRACKETED: Form.ASKED_BRACKETED,
}
# Starts that lead out of the directory they are looked for in, or to the root.
_ROVING = frozenset((b"", b".", b".."))


class Lender(Protocol):
    """A context that others borrow from."""

    def bracket(self, directive: bytes) -> IncludeEdge:
        """What a directive leads to, for one that does not look beside the file it is in."""
        ...

    def cluster(self, node: IncludeNode) -> Cluster:
        """The cluster of a node of the lender's."""
        ...

    def lasting(self) -> bool:
        """Whether all that was looked at stays as it is for the session."""
        ...


class Borrowing:
    """What one context takes from its lender. `validity`: that of the borrowing context."""

    def __init__(
        self,
        validity: Validity,
        chain: Sequence[SearchPlace],
        lender: Callable[[Iterable[SearchPlace]], Lender],
        tree: SearchedTree,
    ) -> None:
        # The positions on the borrower's search path of the directories on the lender's.
        self.positions = [place.position for place in chain if lasting(place)]
        self.lender = lender(chain[position] for position in self.positions)
        self.validity = validity
        self._own = [place.directory for place in chain if not lasting(place)]
        self._late = [p.directory for p in chain[self.positions[0] :] if not lasting(p)]
        self._tree = tree
        self._missed: frozenset[bytes] = frozenset()  # starts of names that no own directory has
        self._late_missed: dict[bytes, bool] = {}
        self._fits: dict[Cluster, bool] = {}

    def ask(self, name: bytes, form: bytes) -> IncludeEdge | None:
        """The lender's lookup of `name`, once no directory before has it; None if the lookup does not hold in the borrower."""
        alike = _FORM.get(form)
        if alike is None or not self._lacked_late(name.partition(b"/")[0]):
            return None
        edge = self.lender.bracket(alike + name)
        fits = all(self._fit(self.lender.cluster(node)) for node in edge.targets)
        return edge if fits and self.lender.lasting() else None

    def _lacked_late(self, start: bytes) -> bool:
        """Whether no own directory after the first shared one has a name that is `start`."""
        known = self._late_missed.get(start)
        if known is None:
            known = self._late_missed[start] = start in self._missed or self._lack(self._late, frozenset((start,)))
        return known

    def _fit(self, cluster: Cluster) -> bool:
        known = self._fits.get(cluster)
        if known is None:
            new = cluster.wants() - self._missed
            known = self._fits[cluster] = not new or self._lack(self._own, new)
            if known:
                self._missed |= new
        return known

    def _lack(self, own: Sequence[SearchedDirectory], names: frozenset[bytes]) -> bool:
        return _ROVING.isdisjoint(names) and all(self._tree.lacks(directory, names, self) for directory in own)

    # A watcher of the own directories

    def stale(self) -> None:
        """One of the own directories has got a name that a borrowed header may look for."""
        self.validity.lose()

    def watch(self, directory: SearchedDirectory) -> None:
        raise AssertionError("only names are looked for")

    def watch_unusable(self, path: bytes) -> None:
        raise AssertionError("only names are looked for")
