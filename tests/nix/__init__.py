"""gg with nix: a small nixpkgs of our own, built offline by Debian's nix in a store of the tests' own."""
