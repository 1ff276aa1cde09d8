"""What a thunk is, as values and as bytes."""
