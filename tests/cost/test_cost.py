"""Prices and meters: the table is whole, and what is counted is what is charged."""

from __future__ import annotations

from base64 import b64encode

import pytest

from gg.core.thunk import Work
from gg.cost.budget import Budget
from gg.cost.meter import Bill, Billed, BilledUsage, Cost, Meter, Tariff, billed, cost
from gg.cost.models import SLOWNESS
from gg.cost.prices import HOME, Prices, prices, sources
from gg.observe.wording import dollars, spent

VIRGINIA = prices(HOME)


def report(milliseconds: int, memory: int, before: str = "", after: str = "") -> str:
    line = f"REPORT RequestId: 8f5\tDuration: 1.50 ms\tBilled Duration: {milliseconds} ms\tMemory Size: {memory} MB\t"
    text = f"START RequestId: 8f5\n{before}END RequestId: 8f5\n{line}Max Memory Used: 91 MB\t{after}\n"
    return b64encode(text.encode()).decode()


def test_home_has_every_price() -> None:
    assert VIRGINIA.assumed == ()
    assert min(value for value in VIRGINIA if isinstance(value, float)) > 0
    assert VIRGINIA.arm64 < VIRGINIA.x86_64


def test_each_figure_has_its_source() -> None:
    for source in sources().values():
        assert source["page"].startswith("https://aws.amazon.com/")
        assert source["seen"]


def test_what_a_region_lacks_is_taken_from_home_and_told() -> None:
    ireland = prices("eu-west-1")
    assert ireland.put == VIRGINIA.put
    assert "s3 put" in ireland.assumed
    assert ireland.disk == pytest.approx(3.4e-8)
    nowhere = prices("xx-nowhere-1")
    assert nowhere._replace(region=HOME, assumed=()) == VIRGINIA
    assert len(nowhere.assumed) == 8


def test_a_second_of_a_function() -> None:
    assert VIRGINIA.second("x86_64", 1024) == pytest.approx(0.0000166667)
    assert VIRGINIA.second("arm64", 2048) == pytest.approx(2 * 0.0000133334)
    assert VIRGINIA.second("x86_64", 1024, 1536) == pytest.approx(0.0000166667 + 0.0000000309)


def test_a_worked_example() -> None:
    """One that AWS's users have published: 161 invocations, 3,531,466 ms, 10,240 MB of memory and of disk."""
    usage = BilledUsage(161, 3_531_466, 10240 * 3_531_466, (10240 - 512) * 3_531_466)
    paid = cost(usage, VIRGINIA, "x86_64")
    assert paid.lambda_time == pytest.approx(0.588578844 + 0.001036662, abs=1e-8)
    assert paid.lambda_requests == pytest.approx(0.0000322)


@pytest.mark.parametrize(
    ("log", "found"),
    [
        (report(1500, 1769), Billed(1500, 1769)),
        (report(2, 128, before="noise\n" * 500), Billed(2, 128)),
        (report(900_000, 3008, after="Init Duration: 300.00 ms\tStatus: timeout\t"), Billed(900_000, 3008)),
        ("", None),
        (b64encode(b"no report here").decode(), None),
        ("!not base64", None),
    ],
)
def test_the_report_is_found_at_the_end_of_the_log(log: str, found: Billed | None) -> None:
    assert billed(log) == found


def test_a_meter_adds_up() -> None:
    meter = Meter(VIRGINIA)
    meter.invoked(1769, 2048, 9.0, Billed(1000, 1769), 10)
    meter.invoked(1769, 2048, 2.0, None)
    meter.stored(put=2, get=3)
    assert meter.usage == BilledUsage(2, 3001, 3001 * 1769, 3001 * 1536, 1, 2, 3, 10)
    assert meter.cost == cost(meter.usage, VIRGINIA, "x86_64")


def test_a_bill_sums_regions_at_their_own_prices_and_what_is_asked_from_here() -> None:
    bill = Bill()
    frankfurt = prices("eu-central-1")
    here, there = bill.meter(VIRGINIA), bill.meter(frankfurt, "arm64")
    assert bill.meter(VIRGINIA) is here
    here.invoked(1024, 512, 1.0, Billed(1000, 1024))
    there.invoked(1024, 512, 1.0, Billed(1000, 1024))
    calls = {"GET": 5, "PUT": 2, "POST": 1, "LIST": 4, "DELETE": 9, "HEAD": 1}
    bill.follow(lambda: "eu-central-1", lambda: (calls, 1 << 30))
    assert bill.usage == BilledUsage(2, 2000, 2000 * 1024, 0, 0, put=7, get=6, out=1 << 30)
    assert bill.cost.lambda_time == pytest.approx(0.0000166667 + 0.0000133334)
    assert bill.cost.s3_requests == pytest.approx((7 * 0.0054 + 6 * 0.00043) / 1000)
    assert bill.cost.bytes_out == pytest.approx(0.09)
    assert bill.cost.total == pytest.approx(sum(bill.cost))


def test_a_bill_tells_what_each_engine_has_spent() -> None:
    bill = Bill()
    functions, spot = bill.meter(VIRGINIA, engine="lambda"), bill.meter(VIRGINIA, engine="spot")
    functions.invoked(1024, 512, 1.0, Billed(1000, 1024))
    spot.stored(put=1000)
    assert bill.by_engine() == {"lambda": functions.cost.total, "spot": pytest.approx(VIRGINIA.put * 1000)}
    assert bill.cost.total == pytest.approx(sum(bill.by_engine().values()))


def test_a_store_that_was_never_asked_has_no_region() -> None:
    def region() -> str:
        raise AssertionError

    bill = Bill()
    bill.follow(region, lambda: ({}, 0))
    assert bill.cost == Cost()


def test_a_budget_counts_what_is_under_way() -> None:
    bill = Bill()
    meter = bill.meter(VIRGINIA)
    bill.tariffs["lambda"] = Tariff(0.0, ((1 << 30, 1.0 / SLOWNESS), (2 << 30, 2.0 / SLOWNESS)))
    budget = Budget(10.0, bill)
    assert budget.begin(1, "lambda", Work.COMPILE, 4.0, 1 << 30)
    assert budget.begin(2, "lambda", Work.COMPILE, 3.0, 2 << 30)
    assert not budget.begin(3, "lambda", Work.COMPILE, 1.0, 1 << 30), "10 are spoken for"
    assert budget.begin(3, "local", Work.COMPILE, 1000.0, 0), "that is free"
    budget.end(2)
    meter.invoked(1024, 512, 0.0, Billed(int(5000 / VIRGINIA.x86_64), 1024))
    assert not budget.begin(4, "lambda", Work.COMPILE, 2.0, 1 << 30), "it cost 5, and 4 are spoken for"
    assert budget.begin(4, "lambda", Work.COMPILE, 0.9, 1 << 30)
    assert Budget(0.9 / SLOWNESS, Bill()).begin(1, "lambda", Work.COMPILE, None, 0), "nothing is known to cost money"


def test_what_is_said_of_it() -> None:
    assert [dollars(v) for v in (0.0, 0.00001, 0.0042, 0.99996, 12.345, 1234.5)] == [
        "$0.0000", "<$0.0001", "$0.0042", "$1.0000", "$12.35", "$1,234.50",
    ]  # fmt: skip
    paid = Cost(0.0101, 0.0004, 0.001, 0.0)
    text = spent({**paid._asdict(), "total": paid.total}, BilledUsage(unheard=2)._asdict())
    assert text == (
        "$0.0115 spent ($0.0101 Lambda time, $0.0004 requests, $0.0010 S3 requests), 2 invocations by our own clock"
    )


def test_prices_are_those_of_one_thing() -> None:
    assert isinstance(VIRGINIA, Prices)
    assert VIRGINIA.invocation == pytest.approx(2e-7)
    assert VIRGINIA.put == pytest.approx(5e-6)
