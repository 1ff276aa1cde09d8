"""This machine: its files and their digests, native programs, scratch directories, placeholders below a directory."""
