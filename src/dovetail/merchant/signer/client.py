"""The signer as the server and the workers ask it."""

import socket
import threading
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

import msgspec

from dovetail.bitcoin import OutPoint, Psbt, Transaction
from dovetail.errors import ParseError, WalletError
from dovetail.merchant.keychains import Keychain
from dovetail.merchant.signer import messages
from dovetail.merchant.signer.framing import HEAD, framed, length_of
from dovetail.merchant.signer.messages import OwnInput, OwnOutput
from dovetail.merchant.signer.place import SignerPlace
from dovetail.merchant.signer.policy import SignerRefused

A = TypeVar("A", bound=messages.Answer)

PATIENCE = 10.0
"""Seconds to wait for an answer."""

AWAY = "The signer does not answer at {}: start it, or correct `signer`."


Heard = Callable[[str, str, str], None]
"""Takes the kind of a request, its result (answered, refused, failed, away), and why it failed."""


def _ignore(_request: str, _result: str, _why: str) -> None:
    pass


class RemoteSigner:
    """Asks a signer over its socket; threads may share it. It connects when it is asked.

    Each method raises `WalletError` where the signer is away or fails, and `SignerRefused` where
    its own check does not allow what is asked.
    """

    def __init__(
        self, place: SignerPlace, *, patience: float = PATIENCE, heard: Heard | None = None
    ) -> None:
        """Nothing is asked yet. `heard` hears of each answer."""
        self._heard = heard or _ignore
        self._place = place
        self._patience = patience
        self._tls = None if place.tls is None else place.tls.context(server=False)
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self.recall: Callable[[], Sequence[messages.Recall]] = tuple
        """What the shop knows of the signer's deeds; told at the beginning of each connection."""

    def __repr__(self) -> str:
        return f"<RemoteSigner at {self._place}>"

    def close(self) -> None:
        """Close the connection; the next request opens another one."""
        with self._lock:
            self._drop()

    def descriptors(self) -> tuple[str, str | None]:
        """Return the public descriptors of its wallet: hot, and cold if it has one."""
        answer = self._ask(messages.Hello(), messages.Wallet)
        return answer.hot, answer.cold

    def wallet(self) -> messages.Wallet:
        """Return all that it says of its wallet."""
        return self._ask(messages.Hello(), messages.Wallet)

    def open(self, session: str, *, demand: int) -> None:
        """See `merchant.wallet.ports.Signer.open`."""
        self._ask(messages.Open(session=session, demand=demand), messages.Done)

    def sign(
        self,
        session: str,
        psbt: Psbt,
        *,
        inputs: Mapping[OutPoint, int],
        outputs: Mapping[int, tuple[Keychain, int]],
        fallback: Transaction,
        fallback_index: int,
    ) -> Psbt:
        """See `merchant.wallet.ports.Signer.sign`."""
        request = messages.Sign(
            session=session,
            psbt=psbt.serialize(),
            fallback=fallback.serialize(),
            fallback_index=fallback_index,
            inputs=own_inputs(inputs),
            outputs=own_outputs(outputs),
        )
        return Psbt.parse(self._ask(request, messages.Signed).psbt)

    def sweep(
        self,
        psbt: Psbt,
        *,
        inputs: Mapping[OutPoint, int],
        outputs: Mapping[int, tuple[Keychain, int]],
    ) -> Psbt:
        """See `merchant.wallet.ports.Signer.sweep`."""
        request = messages.Sweep(
            psbt=psbt.serialize(), inputs=own_inputs(inputs), outputs=own_outputs(outputs)
        )
        return Psbt.parse(self._ask(request, messages.Signed).psbt)

    def queue(
        self,
        payment: str,
        psbt: Psbt,
        *,
        inputs: Mapping[OutPoint, int],
        outputs: Mapping[int, tuple[Keychain, int]],
        replaces: str | None = None,
    ) -> None:
        """See `merchant.wallet.ports.Signer.queue`."""
        request = messages.Queue(
            id=payment,
            psbt=psbt.serialize(),
            inputs=own_inputs(inputs),
            outputs=own_outputs(outputs),
            replaces=replaces,
        )
        self._ask(request, messages.Done)

    def withdraw(self, payment: str) -> None:
        """See `merchant.wallet.ports.Signer.withdraw`."""
        self._ask(messages.Withdraw(id=payment), messages.Done)

    def queued(self, payment: str) -> Psbt | None:
        """See `merchant.wallet.ports.Signer.queued`."""
        answer = self._request(messages.Queued(id=payment))
        return Psbt.parse(answer.psbt) if isinstance(answer, messages.Signed) else None

    def holders(self, coins: Collection[OutPoint]) -> dict[OutPoint, str]:
        """See `merchant.wallet.ports.Signer.holders`."""
        request = messages.Holders(coins=tuple(map(str, coins)))
        found = self._ask(request, messages.Held).coins
        return {OutPoint.parse(coin): session for coin, session in found.items()}

    def release(self, session: str) -> None:
        """See `merchant.wallet.ports.Signer.release`."""
        self._ask(messages.Release(session=session), messages.Done)

    def _ask(self, request: messages.Request, kind: type[A]) -> A:
        answer = self._request(request)
        if not isinstance(answer, kind):
            raise WalletError("The signer's answer does not fit the request: use one release.")
        return answer

    def _request(self, request: messages.Request) -> messages.Answer:
        kind = type(request).__name__.lower()
        try:
            with self._turn():
                answer = self._exchange(framed(messages.encode(request)))
        except SignerRefused as error:
            self._heard(kind, "refused", str(error))
            raise
        except WalletError:
            self._heard(kind, "away", "")
            raise
        if isinstance(answer, messages.Refusal):
            self._heard(kind, "refused", answer.why)
            raise SignerRefused(answer.why)
        if isinstance(answer, messages.Failure):
            self._heard(kind, "failed", answer.why)
            raise WalletError(answer.why)
        self._heard(kind, "answered", "")
        return answer

    @contextmanager
    def _turn(self) -> Generator[None]:
        """One request after the other; a signer that hangs holds nobody up for long."""
        if not self._lock.acquire(timeout=self._patience):
            raise WalletError(AWAY.format(self._place))
        try:
            yield
        finally:
            self._lock.release()

    def _exchange(self, message: bytes) -> messages.Answer:
        """Send it, on a new connection where the old one was lost: each request may come twice."""
        kept = self._socket is not None
        try:
            return self._once(message)
        except (OSError, EOFError, ParseError, msgspec.DecodeError) as error:
            self._drop()
            if not kept:
                raise WalletError(AWAY.format(self._place)) from error
        try:
            return self._once(message)
        except (OSError, EOFError, ParseError, msgspec.DecodeError) as error:
            self._drop()
            raise WalletError(AWAY.format(self._place)) from error

    def _once(self, message: bytes) -> messages.Answer:
        if self._socket is None:
            told = self.recall()
            self._socket = self._connect()
            for each in told:
                self._remind(each)
        return self._sent(message)

    def _remind(self, recall: messages.Recall) -> None:
        """Raise `SignerRefused` for a signer that does not know what the shop knows of it."""
        answer = self._sent(framed(messages.encode(recall)))
        if isinstance(answer, messages.Refusal):
            self._drop()
            raise SignerRefused(answer.why)

    def _sent(self, message: bytes) -> messages.Answer:
        if self._socket is None:
            raise EOFError
        self._socket.sendall(message)
        answer: messages.Answer = messages.answers.decode(
            self._take(length_of(self._take(HEAD.size)))
        )
        return answer

    def _take(self, size: int) -> bytes:
        if self._socket is None:
            raise EOFError
        taken = bytearray()
        while len(taken) < size:
            part = self._socket.recv(min(size - len(taken), 65_536))
            if not part:
                raise EOFError
            taken += part
        return bytes(taken)

    def _connect(self) -> socket.socket:
        if self._place.path is not None:
            local = socket.socket(socket.AF_UNIX)
            local.settimeout(self._patience)
            try:
                local.connect(str(self._place.path))
            except OSError:
                local.close()
                raise
            return local
        plain = socket.create_connection((self._place.host, self._place.port), self._patience)
        return plain if self._tls is None else self._tls.wrap_socket(plain)

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def own_inputs(inputs: Mapping[OutPoint, int]) -> tuple[OwnInput, ...]:
    """Return inputs as messages name them."""
    return tuple(OwnInput(coin=str(coin), index=index) for coin, index in inputs.items())


def own_outputs(outputs: Mapping[int, tuple[Keychain, int]]) -> tuple[OwnOutput, ...]:
    """Return outputs as messages name them."""
    return tuple(
        OwnOutput(vout=vout, keychain=keychain, index=index)
        for vout, (keychain, index) in outputs.items()
    )
