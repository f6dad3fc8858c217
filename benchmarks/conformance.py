"""Who answers what: the conformance scenarios on the simulator, on moto's server, and in the local account.

Prints a table, and with --details each difference. The exit code is 0 if the simulator agrees in all.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import boto3
from moto.server import ThreadedMotoServer

from usher_local.account import Setup, open_account
from usher_simulator.conformance.endpoints import InProcess, OverHttp
from usher_simulator.conformance.runner import run
from usher_simulator.conformance.scenarios import load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from usher_simulator.conformance.runner import Endpoint, Outcome

_FOLDER: Final = Path(__file__).parents[1] / "conformance" / "scenarios"
_LONGEST_WAITS: Final = {"moto": timedelta(seconds=5), "local account": timedelta(seconds=15)}
_IMAGE: Final = "ami-12c6146b"  # one that moto has
_SHOWN: Final = {"agrees": "agrees", "differs": "differs", "not run": "-"}


@contextmanager
def moto() -> Iterator[str]:
    """Moto's server, with the launch template that the scenarios name."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        url = "http://{}:{}".format(*server.get_host_and_port())
        keys: Any = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
        ec2 = boto3.client("ec2", region_name="us-east-1", endpoint_url=url, **keys)
        template: Any = {"ImageId": _IMAGE, "InstanceType": "t3.micro"}
        ec2.create_launch_template(LaunchTemplateName="any", LaunchTemplateData=template)
        yield url
    finally:
        server.stop()


@contextmanager
def local_account() -> Iterator[str]:
    """The local account, whose emulator hands Auto Scaling over to the simulator on the wall clock."""
    with open_account(Setup()) as account:
        yield account.url


def main() -> int:
    """Run all, and print."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--details", action="store_true", help="print each difference")
    details = asked.parse_args().details
    outcomes = {"simulator": _outcomes("simulator", InProcess)}
    for name, opened in (("moto", moto), ("local account", local_account)):
        with opened() as url:
            outcomes[name] = _outcomes(name, lambda url=url, name=name: OverHttp(url, _LONGEST_WAITS[name]))  # type: ignore[misc]
    _print(outcomes, details=details)
    return int(any(outcome.status != "agrees" for outcome in outcomes["simulator"]))


def _outcomes(name: str, endpoint: Callable[[], Endpoint]) -> list[Outcome]:
    found = []
    scenarios = load(_FOLDER)
    for number, scenario in enumerate(scenarios, start=1):
        sys.stderr.write(f"\r{name}: {number} of {len(scenarios)}")
        found.append(run(scenario, endpoint(), number))
    sys.stderr.write("\n")
    return found


def _print(outcomes: dict[str, list[Outcome]], *, details: bool) -> None:
    names = list(outcomes)
    rows = zip(*outcomes.values(), strict=True)
    print(f"| scenario | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    for row in rows:
        print(f"| {row[0].scenario} | {' | '.join(_SHOWN[outcome.status] for outcome in row)} |")
    for status in ("agrees", "differs", "not run"):
        counts = [sum(one.status == status for one in outcomes[name]) for name in names]
        print(f"| **{status}** | {' | '.join(str(count) for count in counts)} |")
    for name in names if details else []:
        for one in outcomes[name]:
            if one.why:
                print(f"\n{name}: {one.scenario}\n  {one.why[:400]}")


if __name__ == "__main__":
    raise SystemExit(main())
