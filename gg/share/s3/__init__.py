"""A store in a bucket: packs, a log of them, and a catalog that remembers both."""
