"""The names of all engines, for settings and for `gg.engines.registry`."""

ENGINES = ("local", "lambda", "remote", "spot", "reapi")
"""Those that exist (`gg.engines.registry`)."""
ELSEWHERE = frozenset(ENGINES) - {"local"}
"""Those that have work done on other machines."""
