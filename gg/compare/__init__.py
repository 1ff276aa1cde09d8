"""What differs between two builds, and which thunks give other bytes when they run again."""
