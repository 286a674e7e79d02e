"""The README's quickstart of a sender's agent, as a program that is type-checked and run."""

from collections.abc import Callable
from pathlib import Path

from dovetail import Agent, FallbackBroadcasted, PayjoinUri, Sats, Success
from dovetail.wallets import Chain, Wallet


async def buy_coffee(
    data_dir: Path, wallet: Wallet, chain: Chain, uri: str, agrees: Callable[[Sats, Sats], bool]
) -> str:
    async with Agent.open(data_dir, wallet=wallet, chain=chain, direct=True) as agent:
        payment = await agent.prepare(PayjoinUri.parse(uri))  # signed, and nothing has left yet
        if not agrees(payment.amount, Sats(payment.fee + payment.most_added)):
            return "not paid"
        session = await agent.start(payment)  # after a crash, the next `open` goes on with it
        match await session.wait_closed():
            case Success(txid=txid):
                return f"paid by payjoin {txid}"
            case FallbackBroadcasted(txid=txid, why=why):
                return f"paid by the ordinary payment {txid}: {why.words if why else ''}"
            case other:
                return f"ended: {other}"
