"""Calls answered from what earlier sessions found out."""
