"""A soak: many random edits of a package, one after another, each forced and compared with a clean plain build."""
