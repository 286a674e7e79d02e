"""`python -m tests.interop`: every pairing with rust-payjoin, live; a table of how they went."""

import argparse
import asyncio
import sys
import time
from pathlib import Path

import click
from tests.interop.matrix import PAIRINGS
from tests.interop.page import PAGE, page
from tests.interop.pairing import Pairing
from tests.interop.programs import Missing, Peers, Program
from tests.interop.record import record
from tests.interop.runner import Result, run, staged
from tests.interop.scenes import SCENES
from tests.interop.table import conclusion, heading, row


def main() -> int:
    options = _options()
    _tell("Building the peers (minutes, once) ...")
    peers = Peers.built()
    for program in (peers.peer, peers.mailroom):
        if isinstance(program, Program):
            _tell(f"with {program.version}")
    wanted = options.only.lower()
    chosen = [each for each in PAIRINGS if wanted in f"{each.group}: {each.what}".lower()]
    if options.record is not None:
        options.record.mkdir(parents=True, exist_ok=True)
        return asyncio.run(_record(options.record, wanted, peers))
    began = time.monotonic()
    results = asyncio.run(_play(chosen, peers))
    click.echo(conclusion(results))
    _tell(f"{time.monotonic() - began:.0f} s in all")
    if options.page and not wanted and all(result.passed for result in results):
        PAGE.write_text(page(result.pairing for result in results))
        _tell(f"Wrote {PAGE}.")
    return int(any(result.fault for result in results))


def _tell(text: str) -> None:
    click.echo(text, err=True)


async def _record(folder: Path, wanted: str, peers: Peers) -> int:
    if isinstance(peers.peer, Missing) or isinstance(peers.mailroom, Missing):
        _tell("Nothing is recorded without both peers: see `make interop`.")
        return 1
    with staged(peers) as stage:
        for scene in SCENES:
            if wanted in scene.name:
                await record(stage, scene, folder)
                click.echo(folder / f"{scene.name}.json")
    return 0


async def _play(chosen: list[Pairing], peers: Peers) -> list[Result]:
    results = []
    click.echo(heading())
    async for result in run(chosen, peers):
        click.echo(row(result))
        results.append(result)
    return results


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.interop", description=__doc__)
    parser.add_argument("--only", default="", help="only pairings with these words in their names")
    parser.add_argument("--record", type=Path, metavar="DIR", help="write transcripts instead")
    parser.add_argument("--page", action="store_true", help="write the page of the docs")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
