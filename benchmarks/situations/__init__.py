"""Forty-odd small projects of packaging tools and language build systems, each built plainly and through gg."""
