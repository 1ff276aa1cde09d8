"""The names of all engines, for settings and for `gg.engines.registry`."""

ENGINES = ("local", "lambda", "remote", "spot", "reapi")
"""All engines (`gg.engines.registry`)."""
ELSEWHERE = frozenset(ENGINES) - {"local"}
"""The engines that have work done on other machines."""
