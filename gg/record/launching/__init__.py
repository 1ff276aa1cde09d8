"""How the command that is recorded is started."""
