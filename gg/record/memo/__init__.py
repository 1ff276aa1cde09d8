"""Whole commands remembered by what they looked at."""
