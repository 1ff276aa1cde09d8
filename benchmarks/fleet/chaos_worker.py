"""`gg worker`, with shorter times, and a line in the file LOG for each job that it begins, that it ends and that it gives away. It
gives jobs away for the least of what they read.

python -P benchmarks/fleet/chaos_worker.py LOG VISIBLE_S OPTION...
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

from gg.wire.letters import OfferLetter
from gg.wire.peers import Peer
from gg.worker import job_places, notice, queue_worker
from gg.worker.exchange import Exchange
from gg.worker.slots import SlotRequest, Slots


def main() -> None:
    log = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    visible = float(sys.argv[2])
    queue_worker.VISIBLE_AFTER_S = int(visible)
    queue_worker._BEAT_S = visible / 4
    notice.LOOK_S = 0.5
    job_places._SPARED, job_places._LEAST_SHARE = 1, 1 << 30
    _note(log)
    from gg.cli.main import main as gg

    sys.argv = ["gg", "worker", *sys.argv[3:]]
    gg()


def _note(log: int) -> None:
    submit = Slots.submit

    def noted(self: Slots, work: SlotRequest) -> None:
        name = f"{os.getpid()}-{work.owner}-{work.number}"

        def say(what: str, then: Callable[..., None]) -> Callable[..., None]:
            def both(*arguments: object) -> None:
                given_back = what == "end" and arguments == (None,)
                os.write(log, f"{'back' if given_back else what} {name} {time.time()}\n".encode())
                then(*arguments)

            return both

        submit(self, work._replace(started=say("begin", work.started), done=say("end", work.done)))

    Slots.submit = noted  # type: ignore[method-assign]
    offers = Exchange.offer

    def offered(self: Exchange, peer: Peer, offer: OfferLetter) -> bool:
        given = offers(self, peer, offer)
        if given:
            os.write(log, f"given {os.getpid()} {time.time()}\n".encode())
        return given

    Exchange.offer = offered  # type: ignore[method-assign]


if __name__ == "__main__":
    main()
