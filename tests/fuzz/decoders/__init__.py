"""Fuzzing of all that reads bytes from elsewhere: a table of decoders, one check, a driver by coverage (atheris)."""
