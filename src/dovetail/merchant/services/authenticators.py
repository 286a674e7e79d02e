"""What users' devices are asked to sign, and whether an answer is right: WebAuthn, level 3.

The library `webauthn` makes the options and verifies the answers; this is all that knows it.
"""

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from dovetail.extras import brought_by

with brought_by("merchant", "dovetail.merchant"):
    import webauthn
    from webauthn.helpers import (
        parse_authentication_credential_json,
        parse_client_data_json,
        parse_registration_credential_json,
    )
    from webauthn.helpers.cose import COSEAlgorithmIdentifier
    from webauthn.helpers.structs import (
        AuthenticationCredential,
        AuthenticatorSelectionCriteria,
        PublicKeyCredentialDescriptor,
        RegistrationCredential,
        ResidentKeyRequirement,
        UserVerificationRequirement,
    )

from dovetail.merchant.data.passkeys import PasskeyRow
from dovetail.merchant.data.users import UserRow

NAME = "Dovetail"
"""What devices call the site."""

_PATIENCE = 240_000
"""Milliseconds for which a browser may ask its user."""

_ALGORITHMS = [
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
]
_VERIFIED = UserVerificationRequirement.REQUIRED


class AnswerRefused(Exception):
    """A device's answer is not what was asked for; its text is for nobody's eyes."""


@dataclass(frozen=True, slots=True)
class Party:
    """The site that passkeys are made for; they work nowhere else."""

    origin: str
    """Such as `https://pay.example`, as browsers write it."""
    name: str
    """Its host without a port (the RP ID)."""

    @classmethod
    def of(cls, origin: str) -> "Party | None":
        """The site of an origin; None for an address of digits, which has no passkeys."""
        name = urlsplit(origin).hostname or ""
        try:
            ip_address(name)
        except ValueError:
            return cls(origin, name) if name else None
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """What a device has made."""

    credential_id: bytes
    public_key: bytes
    sign_count: int


def options_to_add(
    party: Party, row: UserRow, challenge: bytes, known: Iterable[PasskeyRow]
) -> str:
    """What a browser needs to make a passkey that names its user by itself, as JSON."""
    return webauthn.options_to_json(
        webauthn.generate_registration_options(
            rp_id=party.name,
            rp_name=NAME,
            user_id=row.id.bytes,
            user_name=row.name,
            challenge=challenge,
            timeout=_PATIENCE,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED, user_verification=_VERIFIED
            ),
            exclude_credentials=[
                PublicKeyCredentialDescriptor(id=each.credential_id) for each in known
            ],
            supported_pub_key_algs=_ALGORITHMS,
        )
    )


def options_to_sign_in(party: Party, challenge: bytes) -> str:
    """What a browser needs to ask for a passkey of this site, whoever's, as JSON."""
    return webauthn.options_to_json(
        webauthn.generate_authentication_options(
            rp_id=party.name, challenge=challenge, timeout=_PATIENCE, user_verification=_VERIFIED
        )
    )


def read_new(answer: str) -> RegistrationCredential:
    """Read the answer of a device that has made a passkey; raises `AnswerRefused`."""
    with _refusing():
        return parse_registration_credential_json(answer)


def read_signed(answer: str) -> AuthenticationCredential:
    """Read the answer of a device that has signed; raises `AnswerRefused`."""
    with _refusing():
        return parse_authentication_credential_json(answer)


def challenge_of(credential: RegistrationCredential | AuthenticationCredential) -> bytes:
    """What the browser says was to be signed.

    Raises `AnswerRefused`, also for a page that another site has shown inside its own.
    """
    with _refusing():
        told = parse_client_data_json(credential.response.client_data_json)
    if told.cross_origin:
        raise AnswerRefused("It was asked for inside of another site's page.")
    return told.challenge


def verify_new(credential: RegistrationCredential, party: Party, challenge: bytes) -> NewKey:
    """Return the key of a device that knows its user; raises `AnswerRefused`."""
    with _refusing():
        found = webauthn.verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=party.name,
            expected_origin=party.origin,
            require_user_verification=True,
            supported_pub_key_algs=_ALGORITHMS,
        )
    return NewKey(
        credential_id=found.credential_id,
        public_key=found.credential_public_key,
        sign_count=found.sign_count,
    )


def verify_signed(
    credential: AuthenticationCredential, party: Party, challenge: bytes, row: PasskeyRow
) -> int:
    """Return how often the device now says that the passkey was used.

    Raises `AnswerRefused` for a signature that is not of this passkey, site and challenge, where
    the device has not made sure who its user is, and for a count that has not risen: then a copy
    of the passkey may be in use.
    """
    with _refusing():
        return webauthn.verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=party.name,
            expected_origin=party.origin,
            credential_public_key=row.public_key,
            credential_current_sign_count=row.sign_count,
            require_user_verification=True,
        ).new_sign_count


@contextmanager
def _refusing() -> Generator[None]:
    try:
        yield
    except Exception as error:
        raise AnswerRefused("The answer cannot be read, or is not right.") from error
