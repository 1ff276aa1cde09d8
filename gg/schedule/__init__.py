"""When to run what, and where: pure, under any clock."""
