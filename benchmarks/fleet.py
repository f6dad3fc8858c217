"""How the wall time of `usher list --fleet` grows with the sites, where each call has a latency.

Prints one JSON line for each number of sites: the seconds, and how many times they are those of one site for
each turn of SIDE_BY_SIDE sites. That should be about 1, and is at most 1.3. Another process answers on a
loopback port: moto the first site, and from what it said to that one all others, so that what is measured
is the command.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, field
from math import ceil
from multiprocessing import Pipe, Process
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from click.testing import CliRunner

from tests.factories import an_action, at
from tests.fleet_emulator import KEYS, ROLE, Emulator, emulator
from usher_cli.account import Machine
from usher_cli.fleet.asking import SIDE_BY_SIDE
from usher_cli.main import main as usher

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

_SITES: Final = (1, SIDE_BY_SIDE, SIDE_BY_SIDE + 1, 36, 60)
_LATENCY_S: Final = float(os.environ.get("LATENCY", "0.2"))  # of each call
_ACTIONS: Final = 33  # of each site: 2,000 in sixty
_MOST: Final = 1.3
_FIRST: Final = f"{1:012}"
_REGION: Final = "eu-west-1"


@dataclass
class _Late(Emulator):
    """Answers each call late, and what was asked of the first site from what was answered there."""

    latency_s: float = 0
    known: dict[object, tuple[Any, bytes]] = field(default_factory=dict)

    def answer(self, service: str, environ: dict[str, Any], start: Callable[..., Any]) -> Any:  # noqa: ANN401
        """See Emulator."""
        Event().wait(self.latency_s)
        if service == "sts":
            return super().answer(service, environ, start)
        key = service, environ.get("HTTP_X_AMZ_TARGET"), self.body(environ)
        if key not in self.known:
            told: list[Any] = []
            answer = b"".join(super().answer(service, environ, lambda *given, **_: told.extend(given)))
            self.known[key] = told, answer
        told, answer = self.known[key]
        start(*told)
        return [answer]


def _serve(to: Connection) -> None:
    with emulator(_Late()) as made:
        made.deploy(
            _FIRST, _REGION, [an_action(id=f"action-{number}", token=None) for number in range(_ACTIONS)]
        )
        made.latency_s = _LATENCY_S
        to.send(made.url)
        to.recv()


def _seconds(folder: Path, url: str, sites: int) -> float:
    """Of one list, from the command to its end."""
    listed = "".join(f'  - {{id: "{number:012}"}}\n' for number in range(1, sites + 1))
    file = folder / "fleet.yaml"
    file.write_text(f"version: 1\nregions: [{_REGION}]\nrole: {{name: {ROLE}}}\naccounts:\n{listed}")
    machine = Machine(clock=lambda: at(0), new_id=lambda: "1", wait=lambda _: None)
    environment = {
        **{name.upper(): value for name, value in KEYS.items()},
        "AWS_ENDPOINT_URL": url,
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }
    begun = perf_counter()
    outcome = CliRunner().invoke(
        usher, ["list", "--fleet", str(file), "--json"], obj=machine, env=environment
    )
    taken = perf_counter() - begun
    page = json.loads(outcome.stdout)
    if (outcome.exit_code, page["open"]) != (0, sites * _ACTIONS):
        raise SystemExit(f"the list of {sites} sites is not whole: {outcome.stderr}")
    return taken


def main() -> int:
    """Measure; 1 where it takes longer than the turns explain."""
    here, there = Pipe()
    server = Process(target=_serve, args=(there,), daemon=True)
    server.start()
    url = here.recv()
    ratios = []
    with TemporaryDirectory() as folder:
        _seconds(Path(folder), url, 1)  # reads the models of the services
        one = _seconds(Path(folder), url, 1)
        for sites in _SITES:
            taken = _seconds(Path(folder), url, sites)
            ratios.append(taken / (one * ceil(sites / SIDE_BY_SIDE)))
            said = {"sites": sites, "seconds": round(taken, 2), "times_a_turn": round(ratios[-1], 2)}
            print(json.dumps(said), flush=True)
    here.send("end")
    server.join()
    return int(max(ratios) > _MOST)


if __name__ == "__main__":
    sys.exit(main())
