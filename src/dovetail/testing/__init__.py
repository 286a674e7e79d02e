"""The public test kit, for our tests and for wallets that bring their own parts.

`store_contract` and `watching_contract` hold what every store must keep; `faults` has persisters
that fail on purpose; `kill` and `counting` end a process at a chosen side effect.
"""
