"""Thunks run by processes of this machine."""
