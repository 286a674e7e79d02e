"""Webhooks: a shop's software hears of each event, signed, exactly once in effect (ADR 0059)."""
