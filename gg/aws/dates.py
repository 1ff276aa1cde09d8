"""Times as HTTP and mail write them."""

from __future__ import annotations


def seconds(text: str) -> float | None:
    """Since the epoch; None for what is no time, whatever it is."""
    import email.utils

    try:
        return email.utils.parsedate_to_datetime(text[:100]).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
