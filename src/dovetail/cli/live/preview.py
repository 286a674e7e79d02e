"""The preview of a payment, and the question whether to make it."""

import asyncio
from dataclasses import dataclass
from urllib.parse import urlsplit

from dovetail.bitcoin import Address, FeeRate, Sats
from dovetail.cli.clock import clock
from dovetail.cli.fee_checks import require_fair_fee, require_fair_rate
from dovetail.cli.output import Screen, confirm, local_time, sats, span
from dovetail.cli.signals import Stop
from dovetail.errors import ChainError
from dovetail.explain.text import printable
from dovetail.protocol.uri import PayjoinUri, V1Endpoint, V2Endpoint
from dovetail.runtime.fees import estimated_rate
from dovetail.runtime.plain_payment import PlainPayment
from dovetail.runtime.prepared_payment import PreparedPayment
from dovetail.runtime.relays import Relays
from dovetail.runtime.services import Services
from dovetail.sessions.sender import answer_until
from dovetail.tor import is_onion

_INDENT = " " * 14
_LONGEST = 80
"""Characters of the receiver's words that are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The fee rates that the chain source names; None where it does not, or was not asked."""

    least: FeeRate | None = None
    """The least that it relays."""
    estimate: FeeRate | None = None
    """The rate to confirm within `target` blocks."""
    target: int = 0

    @classmethod
    def of(cls, services: Services, *, chosen: bool) -> "Asked":
        """Ask it; for an estimate only where the rate was chosen by hand.

        A source that is away keeps nobody from looking at a payment.
        """
        target = services.policy.fee_target
        try:
            least = services.chain.min_fee_rate()
            estimate = estimated_rate(services) if chosen else None
        except ChainError:
            return cls()
        return cls(least=least, estimate=estimate, target=target)

    def warning(self, rate: FeeRate) -> str | None:
        """The gravest warning about a low rate, or None."""
        if self.least is not None and rate < self.least:
            return f"Nodes relay from {self.least} on: below it this payment may never confirm."
        if rate < FeeRate.BROADCAST_MIN:
            return (
                f"Many nodes still relay from {FeeRate.BROADCAST_MIN} on: they do not pass this"
                " payment on, and it may never confirm."
            )
        if self.estimate is not None and rate < self.estimate:
            return (
                f"It takes {self.estimate} to confirm within {self.target} blocks by the estimate:"
                " this payment may wait longer."
            )
        return None


async def agree_on(
    payment: PreparedPayment | PlainPayment,
    services: Services,
    screen: Screen,
    stop: Stop,
    *,
    chosen: bool,
    allow_high_fee: bool,
    yes: bool,
) -> None:
    """Show the payment and ask for it, unless `yes` says so; from then on it is guarded.

    `chosen` is whether a person chose its fee rate.
    """
    if not (screen.as_json and yes):  # a script has decided: nobody reads it
        asked = await asyncio.to_thread(Asked.of, services, chosen=chosen)
        show(payment, services.relays, asked, screen)
    if not allow_high_fee:
        added = payment.most_added if isinstance(payment, PreparedPayment) else 0
        require_fair_rate(payment.fee_rate)
        require_fair_fee(payment.amount, payment.fee + added)
    if not yes:
        with stop.paused():
            confirm("Pay this?")
    stop.guarded = True


def show(
    payment: PreparedPayment | PlainPayment, relays: Relays, asked: Asked, screen: Screen
) -> None:
    """Show the payment: amount, payee, cost, and who sees it."""
    address, label, message = _payee(payment)
    screen.say(f"You pay       {sats(payment.amount)}", bold=True)
    screen.say(f"To            {address}")
    if label:
        screen.say(f"Label         {printable(label, most=_LONGEST)}")
    if message:
        screen.say(f"Message       {printable(message, most=_LONGEST)}")
    screen.say(f"Fee           {sats(payment.fee)}, at {payment.fee_rate}")
    warning = asked.warning(payment.fee_rate)
    if warning is not None:
        screen.say(warning)
    for line in _of_coins(payment):
        screen.say(line)
    for line in (
        _of_plain(payment)
        if isinstance(payment, PlainPayment)
        else (*_of_payjoin(payment), *_of_endpoint(payment.uri, relays))
    ):
        screen.say(line)


def _payee(payment: PreparedPayment | PlainPayment) -> tuple[Address, str | None, str | None]:
    if isinstance(payment, PlainPayment):
        return payment.address, payment.request.label, payment.request.message
    return payment.uri.address, payment.uri.label, payment.uri.message


def _of_coins(payment: PreparedPayment | PlainPayment) -> tuple[str, str]:
    """The coins that are spent, and the change."""
    spent = Sats.sum(utxo.value for utxo in payment.original.utxos())
    change = spent - payment.amount - payment.fee
    number = len(payment.original.inputs)
    coins = f"{number} {'coin' if number == 1 else 'coins'} ({sats(spent)})"
    back = f"{sats(change)} come back to you" if change else "none"
    whole = sats(Sats(payment.amount + payment.fee))
    return f"Total         {whole}, from {coins}", f"Change        {back}"


def _of_plain(_: PlainPayment) -> tuple[str]:
    return ("Privacy       anybody can tell which coins of the payment are yours",)


def _of_endpoint(uri: PayjoinUri, relays: Relays) -> tuple[str, ...]:
    endpoint = uri.endpoint
    if not isinstance(endpoint, V2Endpoint):
        return disclosures(endpoint, direct=False)
    latest = answer_until(uri, now=clock())
    by_when = f"Answer by     {local_time(latest)}, in {span(latest - clock())}"
    return by_when, *disclosures(endpoint, direct=not relays.hides_from(endpoint.directory))


def _of_payjoin(payment: PreparedPayment) -> tuple[str, ...]:
    """The most that a payjoin may cost, and what happens if our change is too small for it."""
    rate = payment.params.min_fee_rate
    most = f"Payjoin       may add at most {sats(payment.most_added)} to that fee"
    lines = (most, f"{_INDENT}and pays at least {rate} in all")
    if not payment.receiver_pays:
        return lines
    why = "there is too little change" if payment.most_added else "there is no change"
    return (
        *lines,
        f"{_INDENT}but {why} to pay for the receiver's coin:",
        f"{_INDENT}the receiver pays the rest, or the ordinary payment is made",
    )


def disclosures(endpoint: V1Endpoint | V2Endpoint, *, direct: bool) -> tuple[str, str]:
    """By which version of payjoin the payment goes, and who sees what of it."""
    if isinstance(endpoint, V2Endpoint):
        by = f"Payjoin by    BIP 77 (version 2), through the directory {_host(endpoint.directory)}"
        if is_onion(endpoint.directory):
            who = "the receiver sees the payment, not the directory, and Tor hides your IP address"
        elif direct:
            who = "the directory sees your IP address; only the receiver sees the payment"
        else:
            who = (
                "the relay sees your IP address; the directory sees neither it nor the payment; the"
                " receiver sees the payment"
            )
        return by, f"Privacy       {who}"
    host = _host(endpoint.url)
    by = f"Payjoin by    BIP 78 (version 1), straight to the receiver's server {host}"
    if is_onion(endpoint.url):
        who = "that server sees the payment, but not your IP address, which Tor hides"
    else:
        who = "that server sees the payment and your IP address"
    return by, f"Privacy       {who}"


def _host(url: str) -> str:
    host = urlsplit(url).hostname or ""
    return host if len(host) <= 64 else f"{host[:20]}…{host[-20:]}"
