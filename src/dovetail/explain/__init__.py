"""Sessions in words: where each stands, what its events meant, and what a person can do next.

The texts name no address, no key and no command: a command line spells the actions as commands, a
page as buttons.
"""
