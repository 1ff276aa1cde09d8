"""AWS on loopback: an S3 server of somebody else's, and a Lambda of our own."""
