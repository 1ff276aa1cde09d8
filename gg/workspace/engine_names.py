"""The names of all engines, for settings and for `gg.engines.registry`."""

PLACES: dict[str, tuple[str, ...]] = {
    "local": (),
    "lambda": ("functions", "regions"),
    "remote": ("workers",),
    "spot": ("queue",),
    "reapi": ("reapi",),
}
"""All engines (`gg.engines.registry`), each with the settings that say where its work goes. Further settings are called ENGINE_…"""
ENGINES = tuple(PLACES)
ELSEWHERE = frozenset(ENGINES) - {"local"}
"""The engines that have work done on other machines."""
