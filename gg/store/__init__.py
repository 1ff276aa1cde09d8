"""Objects by their key on this disk."""
