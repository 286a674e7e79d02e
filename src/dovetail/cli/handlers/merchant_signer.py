"""`dovetail merchant signer`: the process that holds the keys."""

import logging
from typing import TYPE_CHECKING

from dovetail.cli import context, merchant_parts, open_parts, signals
from dovetail.cli.exits import Exit
from dovetail.cli.output import Screen
from dovetail.cli.service_manager import READY, STOPPING, Notifier
from dovetail.cli.signals import Stop
from dovetail.merchant.signer.keys import Keys
from dovetail.merchant.signer.log import SignerLog
from dovetail.merchant.signer.policy import Limits
from dovetail.merchant.signer.server import SignerServer
from dovetail.merchant.signer.service import SignerService
from dovetail.serving.logs import STDERR, JsonLines, logging_to

if TYPE_CHECKING:
    from dovetail.merchant.signer.place import SignerPlace

_log = logging.getLogger("dovetail.merchant.signer")


def run(
    screen: Screen, *, signer: str | None, cold: str | None, accepts_older: bool, json_log: bool
) -> int:
    """Sign until a signal comes; see `dovetail merchant signer --help`."""
    home = context.home(tell=False)
    settings = merchant_parts.settings_of(home, signer=signer, cold=cold)
    place = merchant_parts.signer_place(home, settings)
    wallet = open_parts.open_own(home, offline=True, signs=True)
    keys = Keys(wallet.secret(), cold=settings.cold)
    folder = merchant_parts.folder(home)
    log = SignerLog.open(folder / merchant_parts.SIGNER_LOG)
    limits = Limits(max_fee_rate=home.policy.max_fee_rate)
    with logging_to(STDERR, "dovetail", lines=JsonLines() if json_log else None):
        _log.setLevel(logging.INFO)
        try:
            service = SignerService(keys, log, limits, accepts_older=accepts_older)
            return _run(screen, SignerServer(service), place)
        except KeyboardInterrupt:
            return Exit.DONE
        finally:
            log.close()


@signals.interruptible
async def _run(stop: Stop, screen: Screen, server: SignerServer, place: "SignerPlace") -> int:
    notifier = Notifier()
    async with server.listening(place):
        stop.guarded = True
        screen.result(str(place))
        screen.say("The signer answers there. Ctrl-C stops it; what it signed stays recorded.")
        notifier.send(READY)
        await stop.asked.wait()
        notifier.send(STOPPING)
    screen.say("The signer has stopped.")
    return Exit.DONE
