"""The QR code of a payment URI, as small as it can be (BIP 21, BIP 77, BIP 173)."""

from typing import Any

import segno

MARGIN = 4
"""Light modules around the code, as readers need them (ISO/IEC 18004)."""
_SEGWIT = ("bc1", "tb1", "bcrt1")


def code(uri: str) -> segno.QRCode:
    """The smallest code of a URI.

    Scheme and segwit address mean the same in upper case (BIP 21, BIP 173), which takes less
    room, as does the upper case of `pj` (BIP 77); all else stays as it is, byte for byte.
    """
    # Each part is a segment in a mode of its own, which segno's types do not tell.
    parts: Any = [part for part in _parts(uri) if part]
    return segno.make(parts, error="l", boost_error=False, micro=False)


def _parts(uri: str) -> tuple[str, str, str]:
    body, mark, query = uri.partition("?")
    address = body.removeprefix("bitcoin:")
    if address.lower().startswith(_SEGWIT):
        body = body.upper()
    head, key, endpoint = f"{mark}{query}".rpartition("pj=")
    if endpoint != endpoint.upper():
        return body, f"{head}{key}{endpoint}", ""
    return body, f"{head}{key}", endpoint
