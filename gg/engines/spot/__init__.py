"""Workers that take their work from a queue: spot machines, or any others that reach it."""
