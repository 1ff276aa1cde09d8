"""A seeded differential fuzzer: random projects and random edits, each built plainly and through gg, and compared."""
