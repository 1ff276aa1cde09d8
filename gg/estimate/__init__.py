"""What a force would take and cost, before it."""
