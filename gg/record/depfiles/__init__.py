"""Dependency files: written for make at once, and as the compiler writes them once it has run."""
