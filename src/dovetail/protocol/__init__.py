"""The rules and messages of BIP 77 and BIP 78, as pure functions and values."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dovetail.protocol.coin import Coin as Coin
    from dovetail.protocol.coin import PlacedCoin as PlacedCoin
    from dovetail.protocol.draft import Draft as Draft
    from dovetail.protocol.error_replies import ErrorCode as ErrorCode
    from dovetail.protocol.error_replies import ErrorReply as ErrorReply
    from dovetail.protocol.mailbox import MESSAGE_SIZE as MESSAGE_SIZE
    from dovetail.protocol.mailbox import ORIGINAL_CAPACITY as ORIGINAL_CAPACITY
    from dovetail.protocol.mailbox import PROPOSAL_CAPACITY as PROPOSAL_CAPACITY
    from dovetail.protocol.mailbox import MessageA as MessageA
    from dovetail.protocol.mailbox import ShortId as ShortId
    from dovetail.protocol.mailbox import decode_original as decode_original
    from dovetail.protocol.mailbox import encode_original as encode_original
    from dovetail.protocol.mailbox import is_plaintext as is_plaintext
    from dovetail.protocol.mailbox import open_message_a as open_message_a
    from dovetail.protocol.mailbox import open_message_b as open_message_b
    from dovetail.protocol.mailbox import seal_message_a as seal_message_a
    from dovetail.protocol.mailbox import seal_message_b as seal_message_b
    from dovetail.protocol.original import check_original as check_original
    from dovetail.protocol.original import prepare_original as prepare_original
    from dovetail.protocol.params import FeeContribution as FeeContribution
    from dovetail.protocol.params import SenderParams as SenderParams
    from dovetail.protocol.proposal import check_proposal as check_proposal
    from dovetail.protocol.proposal import fee_contribution as fee_contribution
    from dovetail.protocol.requests import MailboxReply as MailboxReply
    from dovetail.protocol.requests import OhttpContext as OhttpContext
    from dovetail.protocol.requests import Request as Request
    from dovetail.protocol.requests import poll_mailbox as poll_mailbox
    from dovetail.protocol.requests import post_to_mailbox as post_to_mailbox
    from dovetail.protocol.requests import read_v1_request as read_v1_request
    from dovetail.protocol.requests import v1_reply as v1_reply
    from dovetail.protocol.requests import v1_request as v1_request
    from dovetail.protocol.settlement import Settlement as Settlement
    from dovetail.protocol.settlement import classify as classify
    from dovetail.protocol.uri import Endpoint as Endpoint
    from dovetail.protocol.uri import PayjoinUri as PayjoinUri
    from dovetail.protocol.uri import V1Endpoint as V1Endpoint
    from dovetail.protocol.uri import V2Endpoint as V2Endpoint
    from dovetail.protocol.uri import parse_directory as parse_directory
    from dovetail.protocol.uri import parse_endpoint as parse_endpoint
else:
    from dovetail.names import on_first_use

    __getattr__ = on_first_use(
        __name__,
        {
            "coin": "Coin PlacedCoin",
            "draft": "Draft",
            "requests": (
                "MailboxReply OhttpContext Request poll_mailbox post_to_mailbox "
                "read_v1_request v1_reply v1_request"
            ),
            "mailbox": (
                "MESSAGE_SIZE ORIGINAL_CAPACITY PROPOSAL_CAPACITY MessageA ShortId "
                "decode_original encode_original is_plaintext open_message_a "
                "open_message_b seal_message_a seal_message_b"
            ),
            "original": "check_original prepare_original",
            "params": "FeeContribution SenderParams",
            "proposal": "check_proposal fee_contribution",
            "error_replies": "ErrorCode ErrorReply",
            "settlement": "Settlement classify",
            "uri": "Endpoint PayjoinUri V1Endpoint V2Endpoint parse_directory parse_endpoint",
        },
    )
