"""Spot workers on EC2: what they need in an account, and machines that come, work and go.

`fleet_plan` says what there should be and what a launch may cost, `instance_rights` who may do what, `boot_script` and
`instance_package` what a machine starts with; these are pure, or touch this machine only. `lasting` makes and removes
what lasts (bucket, queue, role, launch template); `instances` starts machines, finds and ends them.
"""
