"""What gg does for users of nix: archives, derivations, and running these."""
