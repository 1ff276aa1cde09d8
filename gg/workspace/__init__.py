"""Where things are, what settings say, and what is written down about a workspace."""
