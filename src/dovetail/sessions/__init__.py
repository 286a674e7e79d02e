"""The event-sourced state machines: no I/O, no clock, no callbacks."""
