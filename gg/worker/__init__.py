"""Runs thunks where an engine sent them, with the standard library alone."""
