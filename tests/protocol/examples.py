"""Facts for the tests of the wire, from BIP 77, BIP 78 and rust-payjoin."""

import json
from base64 import b64decode
from pathlib import Path

from dovetail.bitcoin.units import UnixTime
from dovetail.crypto import GatewayKey, KeyConfig, PublicKey, SecretKey
from dovetail.protocol.uri import V2Endpoint

# BIP 77, Payjoin URI.
ADDRESS = "tb1q6q6de88mj8qkg0q5lupmpfexwnqjsr4d2gvx2p"
EX = "EX1WKV8CEC"
OH = "OH1QYPM59NK2LXXS4890SUAXXYT25Z2VAPHP0X7YEYCJXGWAG6UG9ZU6NQ"
RK = "RK1Q0DJS3VVDXWQQTLQ8022QGXSX7ML9PHZ6EDSF6AKEWQG758JPS2EV"
MAILBOX = "HTTPS://PAYJO.IN/TXJCGKTKXLUUZ"
BIP77_URI = f"bitcoin:{ADDRESS}?amount=0.00666666&pjos=0&pj={MAILBOX}%23{EX}-{OH}-{RK}"
EXPIRES_AT = UnixTime(1736218741)
RECEIVER_KEY = PublicKey.parse(
    bytes.fromhex("03db28458c699c002fe03bd4a020d037b7f286e2d65b04ebb6cb808f50f20c1596")
)
OHTTP_KEYS = KeyConfig(
    1,
    PublicKey.parse(
        bytes.fromhex("03ba167657cc6854e57c39d3188b5504a674370bcde264989190eea35c4145cd4c")
    ),
)
ENDPOINT = V2Endpoint("https://payjo.in", RECEIVER_KEY, OHTTP_KEYS, EXPIRES_AT)

# BIP 78, Test vectors.
ORIGINAL = (
    "cHNidP8BAHMCAAAAAY8nutGgJdyYGXWiBEb45Hoe9lWGbkxh/6bNiOJdCDuDAAAAAAD+////AtyVuAUAAAAAF6kU"
    "HehJ8GnSdBUOOv6ujXLrWmsJRDCHgIQeAAAAAAAXqRR3QJbbz0hnQ8IvQ0fptGn+votneofTAAAAAAEBIKgb1wUA"
    "AAAAF6kU3k4ekGHKWRNbA1rV5tR5kEVDVNCHAQcXFgAUx4pFclNVgo1WWAdN1SYNX8tphTABCGsCRzBEAiB8Q+A6"
    "dep+Rz92vhy26lT0AjZn4PRLi8Bf9qoB/CMk0wIgP/Rj2PWZ3gEjUkTlhDRNAQ0gXwTO7t9n+V14pZ6oljUBIQMV"
    "msAaoNWHVMS02LfTSe0e388LNitPa1UQZyOihY+FFgABABYAFEb2Giu6c4KO5YW0pfw3lGp9jMUUAAA="
)
PROPOSAL = (
    "cHNidP8BAJwCAAAAAo8nutGgJdyYGXWiBEb45Hoe9lWGbkxh/6bNiOJdCDuDAAAAAAD+////jye60aAl3JgZdaIE"
    "Rvjkeh72VYZuTGH/ps2I4l0IO4MBAAAAAP7///8CJpW4BQAAAAAXqRQd6EnwadJ0FQ46/q6NcutaawlEMIcACT0A"
    "AAAAABepFHdAltvPSGdDwi9DR+m0af6+i2d6h9MAAAAAAQEgqBvXBQAAAAAXqRTeTh6QYcpZE1sDWtXm1HmQRUNU"
    "0IcAAQEggIQeAAAAAAAXqRTI8sv5ymFHLIjkZNRrNXSEXZHY1YcBBxcWABRfgGZV5ZJMkgTC1RvlOU9L+e2iEAEI"
    "awJHMEQCIGe7e0DfJaVPRYEKWxddL2Pr0G37BoKz0lyNa02O2/tWAiB7ZVgBoF4s8MHocYWWmo4Q1cyV2wl7MX0a"
    "zlqa8NBENAEhAmXWPPW0G3yE3HajBOb7gO7iKzHSmZ0o0w0iONowcV+tAAAA"
)

# Ours.
RECEIVER = SecretKey(b"\x01" * 32)
REPLY = SecretKey(b"\x02" * 32)
STRANGER = SecretKey(b"\x03" * 32)
GATEWAY = GatewayKey(7, SecretKey(b"\x04" * 32))

PEER = Path(__file__).parent.parent / "vectors" / "rust_payjoin_messages.json"


def peer_message(name: str) -> bytes:
    """A message that rust-payjoin sealed for our keys."""
    return b64decode(json.loads(PEER.read_text())[name])
