"""What gg does for users of nix: it reads archives and derivations, and runs derivations."""
