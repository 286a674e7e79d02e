"""Shared parts of the HTTP servers: request bodies, responses, connections and sockets."""
