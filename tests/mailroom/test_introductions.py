"""A mailroom behind a proxy in TCP mode, which introduces its clients."""

import socket
from dataclasses import replace
from pathlib import Path

from tests.mailroom.client import quick
from tests.serving.small_app import one_answer, request
from tests.serving.test_connection import status
from tests.serving.test_proxy_protocol import header

from dovetail.mailroom import MailroomServer


def test_a_mailroom_takes_introductions_once_it_is_set(tmp_path: Path) -> None:
    settings = quick(tmp_path, proxy_protocol=True)
    with MailroomServer(settings, reload=lambda: replace(settings, proxy_protocol=False)) as server:
        place = ("127.0.0.1", server.port)
        with socket.create_connection(place, 10) as client:
            client.sendall(header("198.51.100.7") + request("/health"))
            assert status(one_answer(client)) == 200
        server.reload().result(10)
        with socket.create_connection(place, 10) as client:
            client.sendall(request("/health"))
            assert status(one_answer(client)) == 200
