"""What keeps a shop going: duties, sessions, the chain watcher, workers."""
