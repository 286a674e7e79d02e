"""A payment while the server and a worker are killed, and the line that tells what came of it."""

import time
from collections.abc import Callable
from uuid import UUID

from tests.shop.processes import Shop, wait

HELD = "AppliedFeeRange"
"""The event after which the signer is asked."""


async def pay(shop: Shop, invoice_id: UUID, uri: str) -> None:
    """Pay an invoice by a wallet; server and worker are killed in the middle of the negotiation."""
    for each in shop.workers[1:]:
        each.start()
    shop.signer.hold()
    await shop.pay(uri, until=lambda: _interrupt(shop, invoice_id))


def _interrupt(shop: Shop, invoice_id: UUID) -> None:
    wait(lambda: HELD in shop.tags(invoice_id), "the negotiation does not begin")
    victims = [shop.server, *shop.workers[:1]]
    for each in victims:
        each.kill()
        say(f"The {each.name} is killed in the middle of the negotiation.")
    shop.signer.go_on()
    began = time.monotonic()
    if not shop.workers:
        shop.server.start()
    wait(lambda: shop.row(invoice_id).status == "processing", "no payment is seen")
    by = shop.workers[1].name if shop.workers else "server, started again,"
    say(f"The {by} went on: a payment is seen after {time.monotonic() - began:.1f} s.")
    for each in victims:
        if not each.runs:
            each.start()
            say(f"The {each.name} is started again.")


def verdict(shop: Shop, invoice_id: UUID, accepted: Callable[[], int]) -> str:
    """Wait until the invoice is settled and told; raises `SystemExit` unless that was once each."""
    wait(lambda: shop.row(invoice_id).status == "settled", "the invoice does not settle")
    wait(lambda: accepted() > 0, "no webhook came")
    time.sleep(1)  # a second webhook would come now
    counted = shop.counted(invoice_id)
    kind, txid = counted[0]
    told = f"invoice {invoice_id} settled by {kind} {txid}: {len(counted)} payment credited,"
    told += f" {accepted()} webhook accepted, server killed {shop.server.killed}×"  # noqa: RUF001
    if shop.workers:
        told += f", worker killed {sum(each.killed for each in shop.workers)}×"  # noqa: RUF001
    if (kind, len(counted), accepted(), shop.server.killed) != ("payjoin", 1, 1, 1):
        raise SystemExit(told)
    return told


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)  # noqa: T201
