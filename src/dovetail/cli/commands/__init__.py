"""How the commands are spelled: one file each, and nothing heavy until a command runs."""
