"""A shop's tables, and functions over a connection: a transaction may call several (ADR 0056)."""
