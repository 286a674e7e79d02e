"""The I/O of sessions: transport, relays, keys, one step per typestate, the agent."""
