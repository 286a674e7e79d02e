"""`make demo-till`: an invoice is paid by payjoin while a server and a worker are killed."""

import argparse
import asyncio
import tempfile
from pathlib import Path

from tests.shop import interrupted
from tests.shop.interrupted import say
from tests.shop.processes import Hook, Shop, open_shop

from dovetail.merchant.client import Shop as Client
from dovetail.merchant.messages import NewInvoice, NewWebhook

AMOUNT = 50_000
SETTLED = "invoice.settled"


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
            wanted = NewWebhook(url=place, kinds=(SETTLED,))
            hook.secret = client.create_webhook(shop.store_id, wanted).secret or ""
            invoice = client.create_invoice(shop.store_id, NewInvoice(amount_sats=AMOUNT))
        say(f"Invoice {invoice.id} asks for {AMOUNT:,} sats; it offers a payjoin.")
        uri = shop.row(invoice.id).uri or ""
        asyncio.run(interrupted.pay(shop, invoice.id, uri))
        return interrupted.verdict(shop, invoice.id, lambda: hook.about(invoice.id, SETTLED))


if __name__ == "__main__":
    main()
