"""What a linker reads and writes, from its command line."""
