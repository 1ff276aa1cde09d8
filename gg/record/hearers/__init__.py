"""Who hears what a call prints, and who branches on its status."""
