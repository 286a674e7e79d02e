"""The public test kit, for our tests and for wallets that bring their own parts.

`store_contract` and `watching_contract` hold what every store must keep, `chain_contract` and
`wallet_contract` what every chain source and wallet must; `clock` and `memory_transport` let a test
live a session of both parties without waiting and without sockets; `faults` has persisters that
fail on purpose; `kill` and `counting` end a process at a chosen side effect.
"""
