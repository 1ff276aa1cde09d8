"""Putting gg's worker into an AWS account, and taking it away again.

`wanted` says what is to be there, `policy` who may do what, `package` makes the function's zip; these are pure, or touch
this machine only. `bucket`, `role` and `functions` look at what is there and make the difference; `apply` does them all in
order. Each can be repeated: what is as it should be is left alone.
"""
