"""Clusters that speak the Remote Execution API: a thunk is an action there, and a blob's name is its SHA-256."""
