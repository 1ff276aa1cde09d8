"""What a team builds in a week, drawn from one seed: who, when, and which thunks are new.

A build is a set of compiles and all that is made of them. What a build does not touch is known, from the person's own store or
the team's, and costs nothing; so a merge of others' work, which they have built, is no build here. A library of which only code
has changed is the same to what is linked against it (docs/interfaces.md): of the links above it only the last ones, the programs,
are done again.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gg.core.thunk import Work
from gg.schedule.events import NodeId, NodeSpec
from gg.schedule.policy import expected_seconds

DAY_S, HOUR_S = 86400.0, 3600.0
OFFICE = {9: 0.8, 10: 1.2, 11: 1.2, 12: 0.4, 13: 0.8, 14: 1.2, 15: 1.2, 16: 1.2, 17: 1.0}
"""How many builds begin in an hour of the day, against the mean of the day."""
NIGHT = 2.0
"""The hour at which all is built from nothing."""
NOBODY = -1
FEW, HEADER, WIDE, WHOLE = "a few sources", "a header", "a central header", "everything, at night"


class Habits(NamedTuple):
    """`builds`: a person's a day. `header`, `wide`: which share of them touches a header, and one that much includes; of the
    compiles a header touches from 4 to a tenth, a central one a tenth to six tenths, both evenly by the logarithm.
    """

    people: int = 30
    days: int = 5
    builds: int = 12
    header: float = 0.15
    wide: float = 0.02


class TeamBuild(NamedTuple):
    """`at`: seconds since Monday, 0:00. `sources`: places of the compiles that are new."""

    at: float
    person: int
    kind: str
    sources: tuple[int, ...]


class Project:
    """A graph, dependencies first."""

    def __init__(self, name: str, nodes: Sequence[NodeSpec]) -> None:
        self.name = name
        self.nodes = tuple(nodes)
        place = {node.id: n for n, node in enumerate(nodes)}
        self._users: list[list[int]] = [[] for _ in nodes]
        for n, node in enumerate(nodes):
            for dep in node.deps:
                self._users[place[dep]].append(n)
        self.sources = [n for n, node in enumerate(nodes) if self._is_source(n, node)]
        self.work = sum([expected_seconds(node.work, node.seconds) for node in nodes])

    def _is_source(self, n: int, node: NodeSpec) -> bool:
        """A unit of the product, not of a tool that the build runs."""
        above = [self.nodes[user].work for user in self._users[n]]
        return node.work is Work.COMPILE and bool(above) and Work.COMPILE not in above

    def new(self, sources: Iterable[int]) -> tuple[tuple[NodeSpec, ...], tuple[NodeId, ...]]:
        """The nodes that are new when these sources are, with what they need of each other; and those that nothing is made of."""
        new, left = set(sources), list(sources)
        while left:
            n = left.pop()
            link = self.nodes[n].work is Work.LINK
            for user in self._users[n]:
                if user not in new and not (link and self._users[user]):
                    new.add(user)
                    left.append(user)
        ids = {self.nodes[n].id for n in new}
        kept = [self.nodes[n] for n in sorted(new)]
        nodes = tuple([node._replace(deps=tuple([dep for dep in node.deps if dep in ids])) for node in kept])
        used = {dep for node in nodes for dep in node.deps}
        return nodes, tuple([node.id for node in nodes if node.id not in used])

    def whole(self) -> tuple[tuple[NodeSpec, ...], tuple[NodeId, ...]]:
        return self.nodes, tuple([node.id for n, node in enumerate(self.nodes) if not self._users[n]])


def week(project: Project, habits: Habits, seed: int) -> list[TeamBuild]:
    """All builds, by their time; nobody has more than one at once, whoever simulates it sees to that."""
    rng = random.Random(seed)
    found: list[TeamBuild] = []
    for day in range(habits.days):
        found.append(TeamBuild(day * DAY_S + NIGHT * HOUR_S, NOBODY, WHOLE, ()))
        for person in range(habits.people):
            for _ in range(habits.builds):
                (hour,) = rng.choices(list(OFFICE), list(OFFICE.values()))
                at = day * DAY_S + (hour + rng.random()) * HOUR_S
                found.append(TeamBuild(at, person, *_edit(project, habits, rng)))
    return sorted(found)


def _edit(project: Project, habits: Habits, rng: random.Random) -> tuple[str, tuple[int, ...]]:
    """Sources that lie side by side, as those of one directory do."""
    count, luck = len(project.sources), rng.random()
    if luck < habits.wide:
        kind, wanted = WIDE, _between(rng, count / 10, count * 6 / 10)
    elif luck < habits.wide + habits.header:
        kind, wanted = HEADER, _between(rng, 4, max(5, count / 10))
    else:
        kind, wanted = FEW, rng.choice((1, 1, 1, 2, 2, 3))
    first = rng.randrange(max(1, count - wanted))
    return kind, tuple(project.sources[first : first + wanted])


def _between(rng: random.Random, low: float, high: float) -> int:
    return round(math.exp(rng.uniform(math.log(low), math.log(high))))
