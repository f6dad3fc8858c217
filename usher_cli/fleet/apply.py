"""`usher apply --fleet`: checked and planned at all sites, then applied at one after the other.

Nothing is kept here of what was applied: each site's own versions tell it, so that a second run goes on
where the first one ended.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import click

from usher.core import iso_time
from usher.core.file_versions import NONE_YET
from usher_cli.account import Trouble, errors_as_trouble
from usher_cli.apply import applying
from usher_cli.apply.data import print_change
from usher_cli.change import ask
from usher_cli.fleet.asking import FAILED, Failed
from usher_cli.fleet.rows import print_rows
from usher_cli.plan.command import planned, print_fleet_steps
from usher_cli.printable import shown
from usher_hooksfile.warnings import warnings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from usher_cli.account import Account
    from usher_cli.apply.applying import Candidate
    from usher_cli.fleet.fleet import Fleet
    from usher_cli.fleet.sites import FleetSite
    from usher_cli.plan.steps import Plan

_AGAIN: Final = "Mend that, and run the same command again: it goes on from there."


class State(StrEnum):
    """What became of a site."""

    APPLIED = "applied"
    ALREADY = "already there"
    FAILED = "failed"
    UNKNOWN = "unknown"
    NOT_TRIED = "not tried"


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """A site that was checked. Without a plan its file was applied last already."""

    site: FleetSite
    candidate: Candidate
    plan: Plan | None
    change: tuple[str, ...] = ()  # in the file: lines


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What stands at a site: the newest version, and since when or from when on it counts."""

    site: FleetSite
    state: State
    version: int | None  # None: unknown
    effective_at: datetime | None = None  # of what was applied now
    why: str | None = None

    @property
    def data(self) -> dict[str, Any]:
        """As `--json` has it."""
        return {
            **self.site.names,
            "state": self.state,
            "version": self.version,
            "effective_at": self.effective_at and iso_time.to_milliseconds(self.effective_at),
            "why": self.why,
        }

    @property
    def cells(self) -> tuple[str, ...]:
        """As people read it."""
        number = "unknown" if self.version is None else str(self.version or "none")
        counts = f"takes effect at {iso_time.to_seconds(self.effective_at)}" if self.effective_at else ""
        return (self.state, number, counts)


def apply_fleet(  # noqa: PLR0913 - the options of a command
    fleet: Fleet,
    file: Path | None,
    reason: str,
    *,
    rollback: bool,
    wait: bool,
    ahead: bool,
    own_groups: tuple[str, ...],
    yes: bool,
    as_json: bool,
) -> None:
    """At all sites of a fleet, each with its own hooks file."""
    if file is not None:
        raise click.UsageError("the fleet's file names the hooks files: leave FILE out")
    of_one = {"--rollback": rollback, "--wait": wait, "--ahead": ahead, "--own-group": bool(own_groups)}
    for option, is_asked in of_one.items():
        if is_asked:
            raise click.UsageError(f"{option} is for one account and Region: leave --fleet out")
    answers = fleet.ask(_prepared)
    prepared = [each for _, each in answers.told]
    _show(prepared)
    if answers.failed:
        click.echo("Nothing was applied, because not all accounts and Regions can take it:", err=True)
        answers.finish()
    to_apply = [each for each in prepared if each.plan is not None]
    if to_apply:
        ask(f"Apply to {len(to_apply)} of {len(prepared)} accounts and Regions?", yes=yes)
    outcomes = list(_in_turn(fleet, prepared, reason))
    _print(outcomes, as_json=as_json)


def _prepared(account: Account, site: FleetSite) -> Prepared:
    """Checked as by `usher apply` at this site alone. Raises Trouble."""
    applying.refuse_where_compiled_in(account, ahead=False)
    candidate = applying.from_file(account, site.hooks)
    applying.refuse_what_the_rights_lack(account, candidate)
    if applying.is_newest(account, candidate):
        return Prepared(site=site, candidate=candidate, plan=None)
    plan = planned(account, candidate.file)
    applying.refuse_conflicts_of_names(plan, candidate)
    change = tuple(applying.change_of(account, candidate))
    return Prepared(site=site, candidate=candidate, plan=plan, change=change)


def _show(prepared: Sequence[Prepared]) -> None:
    """To stderr, so that --json stays JSON."""
    told = {
        f"{each.candidate.name}: warning: {warning.text}"
        for each in prepared
        for warning in warnings(each.candidate.file.configuration)
    }
    for line in sorted(told):
        click.echo(shown(line), err=True)
    for change in dict.fromkeys(each.change for each in prepared if each.change):
        first, *others = [each.site for each in prepared if each.change == change]
        more = f" and {len(others)} more" if others else ""
        click.echo(shown(f"{first}{more}:"), err=True)
        print_change(change)
    print_fleet_steps([(each.site, each.plan) for each in prepared if each.plan is not None], stderr=True)


def _in_turn(fleet: Fleet, prepared: Sequence[Prepared], reason: str) -> Iterator[Outcome]:
    """One site after the other, so that a mistake, or a failure, ends it early."""
    has_failed = False
    for each in prepared:
        before = each.candidate.over.newest
        as_before = Outcome(site=each.site, state=State.ALREADY, version=before)
        if each.plan is None:
            yield as_before
        elif has_failed:
            yield replace(as_before, state=State.NOT_TRIED)
        else:
            outcome = _applied(fleet, each, reason)
            has_failed = outcome.why is not None
            yield outcome


def _applied(fleet: Fleet, prepared: Prepared, reason: str) -> Outcome:
    site = prepared.site
    try:
        with errors_as_trouble(site.place):
            applied = applying.store(fleet.account(site), prepared.candidate, reason, ahead=False)
    except Trouble as trouble:
        return _after_failure(fleet.account(site), prepared, trouble.message)
    except KeyboardInterrupt:  # a second one ends it without a word
        return _after_failure(fleet.account(site), prepared, "interrupted.")
    version = applied.version
    return Outcome(
        site=site,
        state=State.APPLIED,
        version=version.number,
        effective_at=version.effective_at,
        why=applied.doubt,
    )


def _after_failure(account: Account, prepared: Prepared, why: str) -> Outcome:
    """What the site itself says: a request whose answer was lost may have been carried out."""
    site, newest = prepared.site, None
    try:
        with errors_as_trouble(site.place):
            newest = account.versions().schedule().newest
            is_there = newest != NONE_YET and (
                applying.read_version(account, newest).file.digest == prepared.candidate.file.digest
            )
    except Trouble:
        return Outcome(site=site, state=State.UNKNOWN, version=newest, why=why)
    return Outcome(site=site, state=State.APPLIED if is_there else State.FAILED, version=newest, why=why)


def _print(outcomes: Sequence[Outcome], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"sites": [each.data for each in outcomes]}, indent=1))
    else:
        print_rows(("STATE", "VERSION", ""), [(each.site, each.cells) for each in outcomes])
    failed = [Failed(site=each.site, why=each.why) for each in outcomes if each.why is not None]
    for one in failed:
        click.echo(str(one), err=True)
    if failed:
        click.echo(_AGAIN, err=True)
        click.get_current_context().exit(FAILED)
