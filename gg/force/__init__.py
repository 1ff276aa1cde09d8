"""Placeholders become files."""
