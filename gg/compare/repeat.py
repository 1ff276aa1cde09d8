"""Runs thunks that are done once more, elsewhere or at another time, and tells which gave other bytes.

Each thunk is repeated for itself, with the inputs that it had: it need not wait for what it depends on, so with workers enough
all repetitions take as long as the longest of them; and a thunk is not blamed for an input that came out otherwise.

A repetition is a thunk of its own (its model's name has a mark), so no cache and no worker can answer it with what is known.
Its records never reach the store (`gg.compare.apart`).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from gg.compare.apart import Apart
from gg.core.codec import encode_thunk, thunk_id
from gg.core.ids import ThunkId
from gg.core.resolve import Values, resolve
from gg.core.thunk import Made, Reduction, Thunk
from gg.engines.registry import make_engines
from gg.engines.supplies import Supplies
from gg.force.driver import Driver
from gg.force.outcome import Outcome, Settled
from gg.light.named import NamedTuple
from gg.light.slotted import replace
from gg.run.expand import Groups
from gg.schedule.policy import Policy
from gg.store.base import Key, Kind

if TYPE_CHECKING:
    from gg.core.renaming import Renaming
    from gg.cost.budget import Budget
    from gg.cost.meter import Bill
    from gg.engines.engine import Failure
    from gg.host.filedb import FileDB
    from gg.store.base import Store
    from gg.workspace.settings import Settings
    from gg.workspace.workspace import Workspace

CLOCK_S = 400 * 86400 + 5 * 3600 + 7 * 60 + 11
"""How far the clock is moved: another year, month, day, weekday, hour, minute and second."""


class Repetition(NamedTuple):
    """One repetition of all: where, the how manieth there, and by how many seconds the clock is moved."""

    engine: str
    number: int
    clock: int = 0

    def __str__(self) -> str:
        moved = ", with the clock moved" if self.clock else ""
        return f"on {self.engine}{moved}"


class Again(NamedTuple):
    """How one thunk was repeated. `result`: what it came to, or why it came to nothing."""

    first: Settled
    run: Repetition
    result: Reduction | Failure


def runs(engines: Sequence[str], times: int) -> list[Repetition]:
    """What is to be done: `times` on each engine, the last of them with the clock moved."""
    return [
        Repetition(name, number, CLOCK_S if number == times else 0)
        for name in engines
        for number in range(1, times + 1)
    ]


def marked(thunk: Thunk, run: Repetition, mark: str) -> Thunk:
    """The same command, as a thunk that nobody has met."""
    env = dict(thunk.env)
    if run.clock:
        env[b"GG_CLOCK"] = b"%d" % run.clock
    model = f"{thunk.model}+{mark}-{run.engine}-{run.number}"
    return thunk._replace(env=tuple(sorted(env.items())), model=model)


class Repeats:
    """Repetitions with the engines of one workspace. `close` it."""

    def __init__(
        self,
        workspace: Workspace,
        store: Store,
        settings: Settings,
        files: Callable[[], FileDB],
        *,
        bill: Bill | None = None,
        renaming: Renaming | None = None,
        report: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._workspace = workspace
        self._engines_store = store
        self._store = Apart(store)
        self._settings = settings
        self._files = files
        self._bill = bill
        self._renaming = renaming
        self._report = report
        self._mark = os.urandom(6).hex()
        self._drivers: list[Driver] = []
        self._closing: list[Callable[[], None]] = []

    def repeat(
        self,
        settled: Sequence[Settled],
        values: dict[ThunkId, Values],
        plan: Sequence[Repetition],
        found: Callable[[Again], None],
    ) -> bool:
        """Do all runs of the plan at once; `found` is told of each end, in no order and from several threads.

        `values`: of the thunks that those depend on. False when it was interrupted.
        """
        threads = []
        outcomes: list[Outcome | BaseException] = []
        for engine in dict.fromkeys(run.engine for run in plan):
            here = [run for run in plan if run.engine == engine]
            work = self._work(settled, values, here)
            driver = self._driver(engine)
            arguments = (driver, work, found, outcomes)
            threads.append(threading.Thread(target=_evaluate, args=arguments, name=f"repeat-{engine}", daemon=True))
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                while thread.is_alive():
                    thread.join(0.2)
        except KeyboardInterrupt:
            self.stop()
            for thread in threads:
                thread.join()
            return False
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        return not any(isinstance(each, Outcome) and each.interrupted for each in outcomes)

    def _work(
        self, settled: Sequence[Settled], values: dict[ThunkId, Values], here: Sequence[Repetition]
    ) -> dict[ThunkId, tuple[Settled, Repetition]]:
        """Each repetition under its own id, with its record where a driver finds it."""
        work: dict[ThunkId, tuple[Settled, Repetition]] = {}
        items: dict[Key, bytes] = {}
        for each in settled:
            plain = resolve(each.name, each.thunk, b"", values).thunk
            for run in here:
                encoded = encode_thunk(marked(plain, run, self._mark))
                name = thunk_id(encoded)
                items[Key(Kind.THUNK, name)] = encoded
                work[name] = (each, run)
        self._store.put(items)
        return work

    def _driver(self, engine: str) -> Driver:
        settings = replace(self._settings, engine=(engine,), fallback="never", keep_going=True)
        groups = Groups(self._engines_store)
        supplies = Supplies(
            store=self._engines_store,
            groups=groups,
            files=self._files,
            workspace=self._workspace,
            bill=self._bill,
            renaming=self._renaming,
            report=self._report,
        )
        engines = make_engines(settings, supplies)
        self._closing += [each.close for each in engines]
        driver = Driver(
            store=self._store,
            engines=engines,
            groups=groups,
            files=self._files,
            observe=lambda event: None,
            policy=Policy(keep_going=True, max_attempts=settings.retries, fallback=None),
            root=self._workspace.root,
            real_path=self._renaming.real_path if self._renaming else bytes,
            budget=self._budget(),
        )
        self._drivers.append(driver)
        return driver

    def _budget(self) -> Budget | None:
        if not self._settings.budget or self._bill is None:
            return None
        from gg.cost.budget import Budget

        return Budget(self._settings.budget, self._bill)

    def stop(self) -> None:
        for driver in self._drivers:
            driver.stop()

    def close(self) -> None:
        for close in self._closing:
            close()
        self._closing = []
        self._store.close()


def _evaluate(
    driver: Driver,
    work: dict[ThunkId, tuple[Settled, Repetition]],
    found: Callable[[Again], None],
    outcomes: list[Outcome | BaseException],
) -> None:
    def finished(settled: Sequence[Settled]) -> None:
        for each in settled:
            if each.name in work:
                first, run = work[each.name]
                found(Again(first, run, each.reduction))

    try:
        outcome = driver.force(list(work), finished)
    except BaseException as error:
        outcomes.append(error)
        return
    for name, failure in outcome.failures.items():
        if name in work:
            first, run = work[name]
            found(Again(first, run, failure))
    outcomes.append(outcome)


def differing(first: Reduction, other: Reduction) -> list[tuple[int, Made | None, Made | None]]:
    """The declared outputs that came out otherwise, by their numbers."""
    pairs = zip(first.outputs, other.outputs, strict=True)
    return [(at, one, two) for at, (one, two) in enumerate(pairs) if one != two]
