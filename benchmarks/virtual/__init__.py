"""Builds under virtual time: recorded graphs on widths that nobody has at home."""
