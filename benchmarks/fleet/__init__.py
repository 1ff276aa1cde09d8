"""Workers behind a queue, measured: what two builds get of them, how many thunks a second pass, and what befalls them."""
