"""Take over open sessions of rust-payjoin (the `payjoin` crate, 1.2) from their JSON event logs.

`sender_events` and `receiver_events` turn one log into ours, `export_of` writes them as an export
that `import_sessions` takes in, and `open_sessions` reads the database of `payjoin-cli`.

Stop the other program first: nothing can fence a session that goes on in two places.
"""

from dovetail.stores.rust_payjoin.export import export_of
from dovetail.stores.rust_payjoin.payjoin_cli import ForeignLog, open_sessions
from dovetail.stores.rust_payjoin.receiver import receiver_events
from dovetail.stores.rust_payjoin.sender import sender_events

__all__ = ["ForeignLog", "export_of", "open_sessions", "receiver_events", "sender_events"]
