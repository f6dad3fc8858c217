"""The signals of instances and tokens."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from usher.aws import evidence_format, table
from usher.aws.items.base import TableItems
from usher.aws.record_format import UNREADABLE
from usher.core import evidence, iso_time
from usher.core.action import Status
from usher.core.evidence import Kept

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from usher.aws.table import Item
    from usher.core.action import Action, Signal

SIGNAL: Final = "SIGNAL#"
_HEARD_KEPT: Final = timedelta(days=1)


class SignalItems(TableItems):
    """Of each name and addressee the last that said done or failed, and the last progress."""

    def keep_signal(self, signal: Signal) -> Kept:
        """See usher.ports.records.EvidenceStore."""
        if signal.token is None:
            return self._keep_signal(f"INSTANCE#{signal.instance_id}", signal)
        change = self._keep_signal(f"TOKEN#{signal.token}", signal)
        if signal.instance_id is None or change is Kept.REFUSED or self._claimant(signal.token):
            return change
        return self._keep_signal(f"INSTANCE#{signal.instance_id}", signal)

    def _keep_signal(self, pk: str, signal: Signal) -> Kept:
        """Keep it in its place. Two at the same moment leave the newer one, whoever is first."""
        place = table.key(pk, _signal_name(signal) + _kind(signal, pk))
        item = self._table.get(place)
        known = evidence_format.signal_from_data(table.from_json(item, "signal")) if item else None
        if known is None and self._is_full(pk, signal):
            return Kept.REFUSED
        change = evidence.kept(signal, known)
        if evidence.replaces(signal, known):
            if known is not None and evidence.is_worth_export(known, signal):
                self._table.store(_said_key(pk, known), _signal_item(known), self._clock() + _HEARD_KEPT)
            item = _signal_item(signal)
            newer = "attribute_not_exists(pk) OR signal_order < :order"
            values = {":order": item["signal_order"]}
            self._table.store(place, item, self._clock() + evidence.SIGNAL_KEPT, newer, values)
        return change

    def _is_full(self, pk: str, signal: Signal) -> bool:
        """Whether so many other names are kept already. What TTL is late to remove does not count."""
        now = self._clock()
        names = {
            item["sk"]["S"].rpartition("#")[0]
            for item in self._table.items(pk, SIGNAL)
            if table.kept_until(item) > now
        }
        return len(names - {_signal_name(signal)}) >= evidence.MOST_NAMES

    def signals_among(self, heard: Iterable[Item], action: Action) -> Iterator[Signal]:
        """The signals of `heard`, each once; for an adopted action none that is another action's by token."""
        found: list[Signal] = []
        for item in heard:
            with suppress(*UNREADABLE):
                if "signal" in item:
                    found.append(evidence_format.signal_from_data(table.from_json(item, "signal")))
        for signal in dict.fromkeys(found):
            if action.token is not None or signal.token is None or not self._claimant(signal.token):
                yield signal


def _signal_name(signal: Signal) -> str:
    return f"{SIGNAL}{signal.name}"


def _kind(signal: Signal, pk: str) -> str:
    """One by token must not take the place of one by instance, which counts for more actions."""
    is_foreign = signal.token is not None and pk.startswith("INSTANCE#")
    kind = "PROGRESS" if signal.status is Status.PROGRESS else "RESULT"
    return f"#{kind}_BY_TOKEN" if is_foreign else f"#{kind}"


def _signal_item(signal: Signal) -> Item:
    return {
        "signal": table.as_json(evidence_format.signal_to_data(signal)),
        "signal_order": table.text(_order_text(signal)),
    }


def _said_key(addressee: str, signal: Signal) -> Item:
    return table.key(f"SAID#{addressee}", _order_text(signal))


def _order_text(signal: Signal) -> str:
    """Sorts as evidence.order does."""
    at, rank, event_id = evidence.order(signal)
    return f"{iso_time.stored(at)}#{rank}#{event_id}"
