"""Clusters that speak the Remote Execution API: thunks are actions there, and blobs have their SHA-256 for a name."""
