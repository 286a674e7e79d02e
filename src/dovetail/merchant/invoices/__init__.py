"""The rules of an invoice: its terms, its record and its status; no I/O (ADR 0055)."""
