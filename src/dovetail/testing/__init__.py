"""The public test kit, for our tests and for wallets that bring their own parts.

`store_contract` and `watching_contract` test the promises of every store, `chain_contract` and
`wallet_contract` those of chain sources and wallets; `clock` and `memory_transport` let a test
run both parties of a session without waiting and without sockets; `faults` has persisters that
fail on purpose; `kill` and `counting` end a process at a chosen side effect.
"""
