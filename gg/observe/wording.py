"""The sentences that sinks for people share."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from gg.observe.build_events import Progress, RunFinished, ThunkFailed

_ITEMS = (
    ("lambda_time", "Lambda time"),
    ("lambda_requests", "requests"),
    ("s3_requests", "S3 requests"),
    ("bytes_out", "bytes out"),
    ("machines", "machines"),
)
_REASONS = 4  # reasons named in the last line; `gg explain` names them all


def seconds(value: float) -> str:
    """A duration for a person: "0.4 s", "42.1 s", "12 min 3 s", "2 h 5 min"."""
    if value < 59.95:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def clock(value: float) -> str:
    """A time to go, as clocks show it: "0:07", "12:03", "2:05:00"."""
    whole = max(0, round(value))
    hours, rest = divmod(whole, 3600)
    if hours:
        return f"{hours}:{rest // 60:02}:{rest % 60:02}"
    return f"{rest // 60}:{rest % 60:02}"


def count(number: int, one: str, many: str = "") -> str:
    """ "1 thunk", "2 thunks"."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def progress(now: Progress) -> str:
    """One line on how far a force is, for logs."""
    total = now.done + now.failed + now.running + now.to_go
    text = f"gg: {now.done} of {count(total, 'thunk')} done ({now.cached} cached), {now.running} running"
    text += f", {now.failed} failed, {now.to_go} to go"
    return text + (f", ETA {clock(now.eta)}" if now.eta is not None else "")


def failed(event: ThunkFailed) -> str | None:
    """The line under what a failed command printed; None when gg itself wrote the message."""
    if event.stderr.startswith(b"gg: "):
        return None
    return f"gg: {event.label}: failed with status {event.status}" + (f": {event.command}" if event.command else "")


def in_list(event: ThunkFailed) -> str:
    """A failed thunk in a list of several."""
    return f"{event.label} (status {event.status})" + (f": {event.command}" if event.command else "")


def failures(event: RunFinished) -> list[str]:
    """What failed, at the end of a run in which that was more than one."""
    return [f"gg: failed: {each}" for each in event.failures] if len(event.failures) > 1 else []


def shares(event: RunFinished) -> list[str]:
    """What each engine did, where several had a part in it."""
    return [f"gg: {name}: {share(told)}" for name, told in event.where.items()] if len(event.where) > 1 else []


def share(told: Mapping[str, float]) -> str:
    """One engine's part of a run."""
    text = f"{count(int(told['thunks']), 'thunk')}, {seconds(told['seconds'])} of commands"
    return text + (f", {dollars(told['dollars'])}" if told["dollars"] else "")


def command_line(argv: Sequence[bytes], directory: bytes) -> str:
    """A command as one types it, from elsewhere than its own directory if one is given."""
    from shlex import join

    line = join(map(os.fsdecode, argv))
    return f"cd {join([os.fsdecode(directory)])} && {line}" if directory else line


def finished(event: RunFinished) -> str:
    """The last line: how many thunks ran, were cached, failed, and which calls ran for real and why."""
    total = event.ran + event.cached + event.failed + event.skipped
    text = "gg: interrupted after " if event.interrupted else "gg: "
    if event.over_budget and not event.interrupted:
        text = "gg: stopped at the budget after "
    text += f"{count(total, 'thunk')}: {event.ran} ran, {event.cached} cached, {event.failed} failed"
    if event.skipped:
        text += f", {event.skipped} not done"
    text += f" in {seconds(event.wall)}"
    again = sum(event.retries.values())
    if again:
        text += f"; {count(again, 'attempt')} repeated ({_reasons(event.retries)})"
    real = sum(event.real.values())
    if real:
        text += f"; {count(real, 'call')} ran for real ({_reasons(event.real)})"
    return text + (f"; {spent(event.cost, event.usage)}" if event.cost else "")


def dollars(value: float) -> str:
    """ "$12.34", "$0.0042"; what is too little to be seen is not nothing."""
    if value >= 1:
        return f"${value:,.2f}"
    return "<$0.0001" if 0 < value < 0.00005 else f"${value:.4f}"


def spent(cost: Mapping[str, float], usage: Mapping[str, int]) -> str:
    """What a run cost, and for what."""
    parts = [f"{dollars(cost[name])} {words}" for name, words in _ITEMS if cost.get(name)]
    text = f"{dollars(cost['total'])} spent ({', '.join(parts)})"
    unheard = usage.get("unheard", 0)
    return text + (f", {count(unheard, 'invocation')} by our own clock" if unheard else "")


def _reasons(counts: Mapping[str, int]) -> str:
    """The commonest reasons with their counts, the rest in one."""
    ordered = sorted(((n, why) for why, n in counts.items() if n), key=lambda item: (-item[0], item[1]))
    shown = [f"{n} {why}" for n, why in ordered[:_REASONS]]
    rest = sum(n for n, _ in ordered[_REASONS:])
    if rest:
        shown.append(f"{rest} for {count(len(ordered) - _REASONS, 'other reason')}")
    return ", ".join(shown)
