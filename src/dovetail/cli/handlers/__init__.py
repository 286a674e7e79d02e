"""The work of the commands, apart from their spelling: loaded when a command runs."""
