"""Answers a build's calls, and makes thunks of them."""
