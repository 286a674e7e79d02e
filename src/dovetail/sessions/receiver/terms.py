"""The terms that `Created` fixed: the address, the expiration, the endpoint (BIP 77, BIP 78)."""

from dataclasses import dataclass
from functools import cached_property

from dovetail.bitcoin.script import Address
from dovetail.bitcoin.units import Sats, UnixTime
from dovetail.crypto.ohttp import KeyConfig
from dovetail.crypto.secp256k1 import SecretKey
from dovetail.errors import UsageError
from dovetail.protocol.mailbox import ShortId
from dovetail.protocol.uri import PayjoinUri, V1Endpoint, V2Endpoint, checked_mailbox
from dovetail.sessions.receiver.events import Created, Web


@dataclass(frozen=True, slots=True, repr=False)
class MailboxTerms:
    """The receiver's mailbox: the directory, the key to its gateway, the receiver key."""

    directory: str
    ohttp_keys: KeyConfig
    secret_key: SecretKey

    @property
    def short_id(self) -> ShortId:
        """The name of the receiver's own mailbox."""
        return ShortId.of(self.secret_key.public_key)

    def __repr__(self) -> str:
        return "<MailboxTerms>"


@dataclass(frozen=True, repr=False)
class Terms:
    """`Created` as values, each read once, when first asked for; its repr shows nothing (P4)."""

    created: Created

    @property
    def expires_at(self) -> UnixTime:
        """When polling and posting end."""
        return UnixTime(self.created.expires_at)

    @property
    def depth(self) -> int:
        """How many confirmations make a payment final."""
        return self.created.depth

    @cached_property
    def address(self) -> Address:
        """The address the sender is shown."""
        return Address.parse(self.created.address)

    @cached_property
    def endpoint(self) -> MailboxTerms | V1Endpoint:
        """Where the sender writes."""
        endpoint = self.created.endpoint
        if isinstance(endpoint, Web):
            return V1Endpoint(endpoint.url)
        keys = KeyConfig.parse(endpoint.ohttp_keys)
        return MailboxTerms(endpoint.directory, keys, SecretKey(endpoint.secret_key))

    @cached_property
    def uri(self) -> PayjoinUri:
        """The Payjoin URI; raises `ParseError` where the terms do not make one."""
        created = self.created
        terms, expires_at = self.endpoint, UnixTime(created.expires_at)
        endpoint = (
            terms
            if isinstance(terms, V1Endpoint)
            else V2Endpoint(
                terms.directory, terms.secret_key.public_key, terms.ohttp_keys, expires_at
            )
        )
        return PayjoinUri(
            address=self.address,
            amount=None if created.amount is None else Sats(created.amount),
            endpoint=endpoint,
            output_substitution=not created.welcomes_v1,
            label=created.label,
            message=created.message,
        )

    def validate(self) -> None:
        """Raise `ParseError` where the terms do not make a URI.

        No public key is derived for it, as every secret key has one.
        """
        created, terms = self.created, self.endpoint
        if isinstance(terms, MailboxTerms):
            checked_mailbox(terms.directory, UnixTime(created.expires_at))
        _ = self.address, None if created.amount is None else Sats(created.amount)

    def require_mailbox(self) -> MailboxTerms:
        """The mailbox; raises `UsageError` in a session that is served over HTTP."""
        if isinstance(self.endpoint, V1Endpoint):
            raise UsageError(
                "This session has no mailbox, as it is served over HTTP: answer with `v1_body`."
            )
        return self.endpoint

    def __repr__(self) -> str:
        return "<Terms>"
