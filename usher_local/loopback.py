"""A server on a free loopback port, in a thread of its own, while a block runs."""

from __future__ import annotations

from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from socketserver import TCPServer


@contextmanager
def serving(server: TCPServer, name: str) -> Iterator[str]:
    """Serve until the block ends: the server's URL. `name` is the thread's."""
    with server:
        listener = Thread(target=server.serve_forever, name=name, kwargs={"poll_interval": 0.05})
        listener.start()
        try:
            yield "http://{}:{}".format(*server.server_address)
        finally:
            server.shutdown()
            listener.join()
