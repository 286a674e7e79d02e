"""What HTTP servers of ours share: bodies within limits, answers, connections, listening."""
