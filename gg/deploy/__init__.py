"""Putting gg's worker into an AWS account, and taking it away again.

`wanted` says what should be there, `permissions` who may do what, and `package` makes the function's zip. These are pure, or touch
this machine only. `make_bucket`, `role` and `functions` look at the account and change what differs; `apply` runs them in
order. Each can be repeated: they leave alone what is as it should be.
"""
