"""The team's store, behind this machine's: what is signed, by whom, and the bucket that holds it."""
