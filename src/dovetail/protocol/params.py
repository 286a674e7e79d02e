"""The sender's optional parameters (BIP 78; BIP 77, Optional sender parameters)."""

import re
from dataclasses import dataclass
from typing import Literal, Self
from urllib.parse import parse_qsl

from dovetail.bitcoin.units import FeeRate, Sats
from dovetail.errors import InvalidAmount, InvalidMessage, UnsupportedVersion

_VERSIONS: dict[int, tuple[int, ...]] = {1: (1,), 2: (1, 2)}
_WHOLE_NUMBER = re.compile(r"[0-9]{1,16}", re.ASCII)
_MAX_OUTPUT_INDEX = 0xFFFF_FFFF
_FALSE = ("false", "0")
_NO_MINIMUM = FeeRate(0)


@dataclass(frozen=True, slots=True)
class FeeContribution:
    """The most satoshis that the receiver may take for fees, and from which output."""

    max_amount: Sats
    output_index: int


@dataclass(frozen=True, slots=True)
class SenderParams:
    """The sender's parameters; a `min_fee_rate` of zero means no minimum.

    Raises `UnsupportedVersion` for a version other than 1 and 2.
    """

    version: int = 2
    min_fee_rate: FeeRate = _NO_MINIMUM
    fee_contribution: FeeContribution | None = None
    output_substitution: bool = True

    def __post_init__(self) -> None:
        """Check the version."""
        if self.version not in _VERSIONS:
            raise UnsupportedVersion((1, 2))

    @classmethod
    def parse(cls, query: str, *, default_version: Literal[1, 2]) -> Self:
        """Read a query string; the last of repeated parameters counts.

        `default_version` is 2 for an encrypted message, which may also contain 1, and 1 for
        plaintext, which may not contain 2. As in BIP 78, unknown parameters are ignored, and also
        a fee contribution that is incomplete or not two whole numbers; the output index has at
        most 32 bits. Any value of `disableoutputsubstitution` other than false forbids output
        substitution, which is always safe. Raises `UnsupportedVersion`, and `InvalidMessage` for a
        `minfeerate` that is not a plain decimal in sat/vB: ignoring it would break the sender's
        requirement.
        """
        values = dict(parse_qsl(query, keep_blank_values=True))
        version, supported = values.get("v", str(default_version)), _VERSIONS[default_version]
        if version not in map(str, supported):
            raise UnsupportedVersion(supported)
        substitution = values.get("disableoutputsubstitution", "false").lower() in _FALSE
        return cls(
            version=int(version),
            min_fee_rate=_parse_fee_rate(values.get("minfeerate", "0")),
            fee_contribution=_parse_contribution(values),
            output_substitution=substitution,
        )

    def serialize(self) -> str:
        """Write the query string, in the order other implementations use; defaults are left out."""
        pairs = [("v", str(self.version))]
        if not self.output_substitution:
            pairs.append(("disableoutputsubstitution", "true"))
        if self.fee_contribution is not None:
            pairs += [
                ("additionalfeeoutputindex", str(self.fee_contribution.output_index)),
                ("maxadditionalfeecontribution", str(int(self.fee_contribution.max_amount))),
            ]
        if self.min_fee_rate > _NO_MINIMUM:
            pairs.append(("minfeerate", format(self.min_fee_rate.sat_per_vb, "f")))
        return "&".join(f"{key}={value}" for key, value in pairs)


def _parse_fee_rate(text: str) -> FeeRate:
    try:
        return FeeRate.from_sat_per_vb(text)
    except InvalidAmount as error:
        raise InvalidMessage(
            "The sender's minimum fee rate is not a plain decimal; reject the Original PSBT."
        ) from error


def _parse_contribution(values: dict[str, str]) -> FeeContribution | None:
    amount = values.get("maxadditionalfeecontribution", "")
    index = values.get("additionalfeeoutputindex", "")
    if not (_WHOLE_NUMBER.fullmatch(amount) and _WHOLE_NUMBER.fullmatch(index)):
        return None
    if int(index) > _MAX_OUTPUT_INDEX:
        return None
    try:
        return FeeContribution(Sats(int(amount)), int(index))
    except InvalidAmount:
        return None
