"""Tools that the user declares in `gg.toml`."""
