"""Command lines of real builds, and odd ones, run plainly and through infer and force, with all results compared."""
