"""What turns states into progress: transport, relays, keys, one step per typestate, the agent."""
