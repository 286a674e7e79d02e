"""The meaning of each event of a log, in one sentence for the timeline."""

from dovetail.bitcoin import Sats
from dovetail.errors import ReplayError
from dovetail.explain.outcome import ended
from dovetail.explain.text import sats
from dovetail.sessions import ending_events, receiver, sender
from dovetail.sessions.receiver import events as received
from dovetail.sessions.sender import events as sent
from dovetail.stores.ports import Role

_BOTH = {
    "Cancelled": "You cancelled the payjoin.",
    "Expired": "It expired.",
    "BroadcastFallback": "The ordinary payment was broadcast.",
    "ObservedSpend": "A transaction that spends the sender's coins was seen.",
    "FallbackRequested": "You chose the ordinary payment; it is broadcast next.",
    "CoinsMissed": "A coin of the payment is no longer on the chain.",
    "CoinsFound": "All coins of the payment are on the chain again.",
}

RECEIVER = _BOTH | {
    "Created": "The Payjoin URI was made.",
    "RetrievedOriginalPayload": "The sender's payment came in.",
    "CheckedBroadcastSuitability": "The network would accept it.",
    "CheckedInputsNotOwned": "It spends none of your coins.",
    "CheckedNoInputsSeenBefore": "Its coins were never offered to you before.",
    "IdentifiedReceiverOutputs": "It pays you. From here on you can take the payment.",
    "CommittedOutputs": "The payjoin's outputs were settled.",
    "CommittedInputs": "Coins of yours were added.",
    "AppliedFeeRange": "The fee was settled.",
    "FinalizedProposal": "Your wallet signed the payjoin.",
    "PostedPayjoinProposal": "The payjoin went to the sender.",
    "GotReplyableError": "The payjoin could not be made.",
    "RepliedWithError": "The sender was told that there will be no payjoin.",
    "ReplyFailed": "The sender could not be told that there will be no payjoin.",
    "ProtocolFailed": "The negotiation ended.",
    "Reopened": "The Payjoin URI takes another payment.",
    "ObservedPayment": "Another transaction paid the address in full.",
    "FallbackDue": "No payjoin appeared in time: the ordinary payment fell due.",
    "Released": "You declined the ordinary payment.",
    "Closed": "The session ended.",
}

SENDER = _BOTH | {
    "Created": "You signed the payment.",
    "CreatedPlain": "You signed an ordinary payment; it is broadcast next.",
    "FallbackBumped": "You raised the fee of the ordinary payment; it is broadcast next.",
    "StartedPosting": "Dovetail began to send the payment to the receiver.",
    "PostedOriginalPsbt": "The directory holds it for the receiver.",
    "ReceivedProposal": "The receiver's payjoin came in and passed the checks.",
    "SignedPayjoin": "Your wallet signed the payjoin.",
    "BroadcastPayjoin": "The payjoin was broadcast.",
    "PayjoinDropped": "The network lost the payjoin; it is broadcast again.",
    "SpendDropped": "The network lost what had spent the coins: the payment is due again.",
    "SigningDeadlinePassed": "The payjoin was not signed in time.",
    "ProtocolFailed": "The negotiation ended without a payjoin.",
    "Released": "You declined the ordinary payment; the receiver can still take it.",
    "Closed": "The session ended.",
}


def meaning(role: Role, tag: str, data: bytes) -> str:
    """The sentence for an event; it stays a sentence for one that cannot be read."""
    words = SENDER if role is Role.SENDER else RECEIVER
    if tag not in words:
        return "This release does not know this event: upgrade Dovetail."
    try:
        event = sender.decode_event(data) if role is Role.SENDER else receiver.decode_event(data)
    except ReplayError:
        return f"{words[tag]} (The entry cannot be read.)"
    told = words[type(event).__name__]  # an older version's tag may have meant something else
    match event:
        case received.GotReplyableError() | received.ProtocolFailed() | sent.ProtocolFailed():
            return f"{told} {event.reason.words}"
        case ending_events.Closed():
            return ended(event.outcome, paying=role is Role.SENDER)
        case received.CommittedInputs():
            total = Sats.sum(coin.value for coin in event.coins)
            count = len(event.coins)
            return f"{count} coin{'s' * (count > 1)} of yours, {sats(total)}, went in."
        case ending_events.ObservedSpend():
            return f"{told} {event.txid}"
        case _:
            return told
