"""A mailroom that asks a name server on this machine: `… HOME PORT NAMES [--local]`.

Its relay trusts the certificate of a gateway in HOME. With `--local` it may go to private
addresses, as all of them are here.
"""

import signal
import sys
import threading
from pathlib import Path

import dns.asyncresolver
from tests.flood.sending import CERTIFICATE

from dovetail.mailroom import Mailroom, MailroomServer, MailroomSettings
from dovetail.mailroom.resolver import Names


def main(home: Path, port: int, names: int, *, local: bool) -> None:
    def servers() -> dns.asyncresolver.Resolver:
        resolver = dns.asyncresolver.Resolver(configure=False)
        resolver.nameservers = ["127.0.0.1"]
        resolver.port = names
        return resolver

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    settings = MailroomSettings(
        home / "data", local=local, ca_file=home / CERTIFICATE, tunnel_ports=tuple(range(1, 65_536))
    )
    settings.data_dir.mkdir()
    mailroom = Mailroom(settings, resolve=Names(hosts=home / "no hosts", servers=servers))
    with MailroomServer(mailroom=mailroom, port=port):
        stop.wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), local="--local" in sys.argv)
