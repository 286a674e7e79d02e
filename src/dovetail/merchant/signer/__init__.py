"""The signer: the one process of a shop that holds keys (ADR 0057)."""
