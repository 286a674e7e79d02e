"""The README's quickstart of a receiver's agent, as a program that is type-checked and run."""

from collections.abc import Callable
from pathlib import Path

from dovetail import Agent, FallbackBroadcasted, Success
from dovetail.wallets import Chain, Wallet


async def sell_coffee(
    data_dir: Path, wallet: Wallet, chain: Chain, directory: str, show: Callable[[str], None]
) -> str:
    async with Agent.open(  # goes on with every live session
        data_dir, wallet=wallet, chain=chain, directory=directory, direct=True
    ) as agent:
        session = await agent.receive(50_000, label="coffee")
        show(session.uri)
        match await session.wait_closed():
            case Success(txid=txid):
                return f"paid by payjoin {txid}"
            case FallbackBroadcasted(txid=txid, why=why):
                return f"paid by the ordinary payment {txid}: {why.words if why else ''}"
            case other:
                return f"ended: {other}"
