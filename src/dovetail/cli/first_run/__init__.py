"""The first run of a shop: its questions, their checks, and what is made of the answers."""
