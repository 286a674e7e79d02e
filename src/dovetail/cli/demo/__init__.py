"""The demo: a whole payjoin on this machine, told step by step."""
