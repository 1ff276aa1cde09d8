"""Graphs of thunks as other programs read them: nix, ninja, graphviz, JSON."""
