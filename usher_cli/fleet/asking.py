"""Asks all sites of a fleet side by side: no site's failure, and no silence, hides another's answer."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import click
from rich.console import Console

from usher_cli.account import Trouble, errors_as_trouble
from usher_cli.printable import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from usher_cli.fleet.sites import FleetSite

SIDE_BY_SIDE: Final = 12  # sites at a time
SILENCE_MAX: Final = 180  # seconds since the last answer of any site
FAILED: Final = 1  # the exit code, where a site failed
_SILENT: Final = (
    f"No answer, and none of any other site for {SILENCE_MAX // 60} minutes: "
    "check the credentials of each site that is silent, then try again."
)
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed:
    """A site that did not answer, or refused, and why, in one line."""

    site: FleetSite
    why: str

    @property
    def data(self) -> dict[str, Any]:
        """As `--json` has it."""
        return {**self.site.names, "why": self.why}

    def __str__(self) -> str:
        return shown(f"{self.site} failed: {self.why}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers(Generic[T]):
    """What the sites said, in the order of the fleet."""

    told: Sequence[tuple[FleetSite, T]]
    failed: Sequence[Failed]

    def finish(self, *, incomplete: bool = False) -> None:
        """Tell what failed, a line each on stderr. Exit code 1 if anything did, or is `incomplete`."""
        for each in self.failed:
            click.echo(str(each), err=True)
        if self.failed or incomplete:
            click.get_current_context().exit(FAILED)


def ask(
    sites: Sequence[FleetSite],
    question: Callable[[FleetSite], T],
    *,
    quiet: bool,
    answers: SimpleQueue[tuple[int, T | Failed]] | None = None,
) -> Answers[T]:
    """The answers of all sites. On a terminal, unless `quiet`, it is shown how many have answered.

    If none answers for SILENCE_MAX, those that have not answered fail. `answers` is given in tests.
    """
    waiting = deque(enumerate(sites))
    answers = SimpleQueue() if answers is None else answers

    def work() -> None:
        while waiting:
            try:
                number, site = waiting.popleft()
            except IndexError:  # another thread was faster
                return
            answers.put((number, _answer(site, question)))

    # Daemons: Ctrl-C does not wait for a site that does not answer.
    for _ in range(min(SIDE_BY_SIDE, len(sites))):
        Thread(target=work, daemon=True).start()
    by_number: dict[int, T | Failed] = {}
    console = Console(stderr=True, quiet=quiet)
    with console.status("") as progress:
        while len(by_number) < len(sites):
            progress.update(f"{len(by_number)} of {len(sites)} accounts and Regions have answered ...")
            try:
                number, answer = answers.get(timeout=SILENCE_MAX)
            except Empty:
                waiting.clear()  # what is told as failed is not asked later
                break
            by_number[number] = answer
    in_order = [
        (site, by_number.get(number, Failed(site=site, why=_SILENT))) for number, site in enumerate(sites)
    ]
    return Answers(
        told=[(site, answer) for site, answer in in_order if not isinstance(answer, Failed)],
        failed=[answer for _, answer in in_order if isinstance(answer, Failed)],
    )


def _answer(site: FleetSite, question: Callable[[FleetSite], T]) -> T | Failed:
    try:
        with errors_as_trouble(site.place):
            return question(site)
    except Trouble as trouble:
        return Failed(site=site, why=trouble.message)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other sites' answers are told
        return Failed(site=site, why=" ".join(f"{type(error).__name__}: {error}".split()))
