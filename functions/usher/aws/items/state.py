"""The item of an action: what is compared or looked for stands in attributes, all else is packed in one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from usher.aws import record_format, table
from usher.aws.items import actions_index
from usher.aws.packing import packed, unpacked
from usher.aws.table import ENDED
from usher.core import iso_time
from usher.core.action import Phase, Transition
from usher.core.listing import listed_at
from usher.core.wait_moves import EC2, GROUP, POOL

if TYPE_CHECKING:
    from usher.aws.table import Item
    from usher.core.action import Action

    Data = dict[str, Any]

SCHEMA: Final = 2
ASSUMED: Final = "?"
SHORT: Final = {EC2: "E", GROUP: "G", POOL: "W"}  # where an instance comes from and goes
_TEXTS: Final = ("look_id", "look_at", "instance_id")  # attributes by their names in the record format


def key(action_id: str) -> Item:
    """Of the item of an action."""
    return table.key(f"ACTION#{action_id}", "STATE")


def to_item(action: Action) -> Item:
    """The attributes. Those of the index list it while it is open, and from its end on as closed."""
    data = record_format.action_to_data(action.as_stored)
    hook = data["hook"]
    texts = _TEXTS if action.is_open else (*_TEXTS, *ENDED)
    item: Item = {
        "action_id": table.text(data.pop("id")),
        "version": table.number(data.pop("version")),
        "schema": table.number(SCHEMA),
        "group": table.text(hook.pop("group")),
        "hook": table.text(hook.pop("name")),
        **{name: table.text(data.pop(name)) for name in texts if name in data},
        "packed": {"B": packed(data)},
    }
    at = listed_at(action)
    if at is not None:
        item |= actions_index.open_since(action.id, at)
        item["expires_at"] = table.text(iso_time.stored(action.expires_at))
    elif action.closed_at is not None:
        item |= actions_index.closed_at(action.id, action.closed_at)
    item["wait"] = table.text(_wait_text(action))
    return item


def _wait_text(action: Action) -> str:
    """What kind of wait it is in few bytes: `T300,G,E` is a termination; 300? where that is assumed.

    Of a closed action only the transition.
    """
    hook = action.hook
    kind = "L" if hook.transition is Transition.LAUNCHING else "T"
    if not action.is_open:
        return kind
    timeout = f"{hook.heartbeat_timeout.total_seconds():.0f}{ASSUMED if action.timeout_assumed else ''}"
    origin, destination = (
        SHORT.get(place or "", place or "") for place in (action.origin, action.destination)
    )
    return f"{kind}{timeout},{origin},{destination}"


def from_item(item: Item) -> Action:
    """The action, its last lines with it. Raises one of UNREADABLE where it is another release's."""
    return record_format.action_from_data(_data(item))


def _data(item: Item) -> Data:
    if "packed" not in item:
        before: Data = table.from_json(item)  # as before schema 2, with everything
        return before
    data: Data = unpacked(item["packed"]["B"])
    data |= {name: item[name]["S"] for name in (*_TEXTS, *ENDED) if name in item}
    data["hook"] |= {"group": item["group"]["S"], "name": item["hook"]["S"]}
    return data | {"id": item["action_id"]["S"], "version": int(item["version"]["N"])}


def evidence_in(item: Item) -> Data:
    """The data that has what the action was told of, also where the rest cannot be read."""
    data: Data = unpacked(item["packed"]["B"]) if "packed" in item else table.from_json(item)
    return data


def hook_of(item: Item) -> tuple[str, str]:
    """The group and hook of an action, also where the rest cannot be read."""
    if "packed" in item:
        return item["group"]["S"], item["hook"]["S"]
    hook = table.from_json(item)["hook"]
    return hook["group"], hook["name"]


def instance_of(item: Item) -> str:
    """The instance of an action, likewise."""
    instance: str = item["instance_id"]["S"] if "packed" in item else table.from_json(item)["instance_id"]
    return instance


def is_open(item: Item) -> bool:
    """Whether the action is open, also where the rest cannot be read."""
    if "packed" in item:
        return "look_at" in item
    return bool(table.from_json(item).get("phase") != str(Phase.CLOSED))
