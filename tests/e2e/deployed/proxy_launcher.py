"""Runs in an interpreter of its own: microburst on the socket that it inherits, until its input ends."""

from __future__ import annotations

import importlib
import json
import os
import socket
import sys
import threading


def main() -> None:
    """The first line of standard input has the folder of the packages, the upstream and the socket."""
    told = json.loads(sys.stdin.readline())
    sys.path.insert(0, told["packages"])
    threading.Thread(target=_end_with_input, daemon=True).start()
    proxy = importlib.import_module("microburst.core.pipeline").Microburst(told["upstream"])
    app = importlib.import_module("microburst.app").make_app(proxy)
    listening = socket.socket(fileno=told["socket"])
    importlib.import_module("aiohttp.web").run_app(app, sock=listening, print=None)


def _end_with_input() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
