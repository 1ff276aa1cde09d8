"""Machines of one's own as an engine each: `gg worker --listen` there, a list of hosts here, and nobody in between."""
