"""AWS as this machine is set up for it: credentials, signed HTTP, and what its errors mean."""
