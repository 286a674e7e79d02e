"""`make demo-till`: an invoice is paid by payjoin while a server and a worker are killed."""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

from tests.shop.processes import Hook, Shop, open_shop, wait

from dovetail.merchant.client import Shop as Client
from dovetail.merchant.messages import NewInvoice, NewWebhook

AMOUNT = 50_000
HELD = "AppliedFeeRange"
"""The event after which the signer is asked."""


def main() -> None:
    """Run the demo, and print what happens."""
    parser = argparse.ArgumentParser(prog="python -m tests.shop.demo", description=__doc__)
    parser.add_argument("--store", choices=("postgresql", "sqlite"), default="postgresql")
    shared = parser.parse_args().store == "postgresql"
    with tempfile.TemporaryDirectory(prefix="dovetail-till-") as folder:
        say(f"A chain, a mailroom, a signer, a server on {'PostgreSQL' if shared else 'SQLite'}.")
        with open_shop(Path(folder), postgresql=shared) as shop:
            line = _play(shop)
    say(line)


def _play(shop: Shop) -> str:
    hook = Hook()
    with hook.serving() as place:
        with Client(shop.url, shop.secret) as client:
            wanted = NewWebhook(url=place, kinds=("invoice.settled",))
            hook.secret = client.create_webhook(shop.store_id, wanted).secret or ""
            invoice = client.create_invoice(shop.store_id, NewInvoice(amount_sats=AMOUNT))
        say(f"Invoice {invoice.id} asks for {AMOUNT:,} sats; it offers a payjoin.")
        row = shop.row(invoice_id := invoice.id)
        victims = [shop.server, *shop.workers[:1]]
        for each in shop.workers[1:]:
            each.start()
        shop.signer.hold()

        def interrupted() -> None:
            wait(lambda: HELD in shop.tags(invoice_id), "the negotiation does not begin")
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

        asyncio.run(shop.pay(row.uri or "", until=interrupted))
        for each in victims:
            if not each.runs:
                each.start()
        wait(lambda: shop.row(invoice_id).status == "settled", "the invoice does not settle")
        wait(lambda: hook.about(invoice_id, "invoice.settled") > 0, "no webhook came")
        time.sleep(1)  # a second webhook would come now
        counted = shop.counted(invoice_id)
        accepted = hook.about(invoice_id, "invoice.settled")
        kind, txid = counted[0]
        killed = sum(each.killed for each in shop.workers)
        told = f"invoice {invoice_id} settled by {kind} {txid}: {len(counted)} payment credited,"
        told += f" {accepted} webhook accepted, server killed {shop.server.killed}×"  # noqa: RUF001
        if shop.workers:
            told += f", worker killed {killed}×"  # noqa: RUF001
        if (kind, len(counted), accepted, shop.server.killed) != ("payjoin", 1, 1, 1):
            raise SystemExit(told)
        return told


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
