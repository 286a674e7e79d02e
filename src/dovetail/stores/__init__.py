"""Durable logs of sessions.

`dovetail.stores.memory.MemoryStore` and `dovetail.stores.sql.SqlStore` keep the contract of
`dovetail.stores.ports.Store`; each is imported from its module, so that neither costs the other.
"""
