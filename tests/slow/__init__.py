"""Whole packages through the real command lines; minutes, and the network when the cache is empty."""
