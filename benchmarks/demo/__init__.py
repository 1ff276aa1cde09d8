"""What gg does, shown on a real C project in a minute: `make demo`."""
