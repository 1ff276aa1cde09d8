"""One thunk, run with its inputs visible and nothing else."""
