"""Payjoin for Python (BIP 77, BIP 78): every session ends in exactly one payment.

The layers, each of which imports only from those below it (docs/architecture.md is the map)::

    cli, testing, explain      for people: commands, test kits, sessions in words
    mailroom, regtest, bip78   servers
    runtime, serving           I/O for sessions, I/O for servers
    stores, wallets            the log, and the coins and the chain
    sessions, protocol         two state machines, and the rules of BIP 77 and BIP 78: no I/O
    bitcoin, crypto            bytes, sums and ciphers

The names of this package load on first use, so that `import dovetail.bitcoin` costs nothing and
needs no extra. `Agent`, what belongs to it and `fetch_ohttp_keys` need the extra `agent`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dovetail.bitcoin.units import FeeRate, Sats
    from dovetail.collecting import rare_collections
    from dovetail.errors import DovetailError
    from dovetail.protocol.uri import PayjoinUri
    from dovetail.runtime.agent import Agent
    from dovetail.runtime.decisions import Revocation
    from dovetail.runtime.key_fetch import fetch_ohttp_keys
    from dovetail.runtime.live_session import LiveReceiver, LiveSender, Update
    from dovetail.runtime.plain_payment import PlainPayment
    from dovetail.runtime.policy import AtExpiry, Policy
    from dovetail.runtime.prepared_payment import PreparedPayment
    from dovetail.sessions.outcomes import (
        Cancelled,
        Expired,
        FallbackBroadcasted,
        Outcome,
        PaidDirectly,
        PayjoinProposalSent,
        Revoked,
        Success,
        Unrecognized,
    )
    from dovetail.sessions.reasons import Reason

__all__ = [
    "Agent",
    "AtExpiry",
    "Cancelled",
    "DovetailError",
    "Expired",
    "FallbackBroadcasted",
    "FeeRate",
    "LiveReceiver",
    "LiveSender",
    "Outcome",
    "PaidDirectly",
    "PayjoinProposalSent",
    "PayjoinUri",
    "PlainPayment",
    "Policy",
    "PreparedPayment",
    "Reason",
    "Revocation",
    "Revoked",
    "Sats",
    "Success",
    "Unrecognized",
    "Update",
    "fetch_ohttp_keys",
    "rare_collections",
]


if not TYPE_CHECKING:  # a type checker shall see the names above and no others
    from dovetail.names import on_first_use

    __getattr__ = on_first_use(
        __name__,
        {
            "bitcoin.units": "FeeRate Sats",
            "collecting": "rare_collections",
            "errors": "DovetailError",
            "protocol.uri": "PayjoinUri",
            "runtime.agent": "Agent",
            "runtime.decisions": "Revocation",
            "runtime.key_fetch": "fetch_ohttp_keys",
            "runtime.live_session": "LiveReceiver LiveSender Update",
            "runtime.plain_payment": "PlainPayment",
            "runtime.prepared_payment": "PreparedPayment",
            "runtime.policy": "AtExpiry Policy",
            "sessions.outcomes": "Cancelled Expired FallbackBroadcasted Outcome PaidDirectly"
            " PayjoinProposalSent Revoked Success Unrecognized",
            "sessions.reasons": "Reason",
        },
        extra="agent",
    )
