"""Places where thunks run."""
