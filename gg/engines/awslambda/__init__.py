"""Thunks run by AWS Lambda functions."""
