"""Measurements and whole packages: run from the top of a checkout, never imported by `gg` itself."""
