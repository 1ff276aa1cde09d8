"""Cheap Python where start-up counts: classes without dataclasses, regular expressions compiled when used."""
