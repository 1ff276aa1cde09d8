"""A command line in, a draft of a thunk out."""
