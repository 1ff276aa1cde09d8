"""gg: record an ordinary build as content-addressed thunks, and force them anywhere with the same bytes."""

__version__ = "0.1.0"
