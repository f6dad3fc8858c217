"""Hooks files, drawn from a seed: sound ones, whose waits fit into a run."""

from __future__ import annotations

import json
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

from usher.core import duration
from usher_simulator.trials.condition_truths import CONDITIONS, OTHERWISE, kinds_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from usher_simulator.trials.dice import Dice

    Data = dict[str, Any]

TAG: Final = "team"  # which each group has, with its own name
_GROUPS: Final = ("web-1", "jobs-a", "jobs-b")
_SHORT: Final = ("30s", "45s", "1m", "2m", "5m")
_LONG: Final = ("10m", "30m", "1h", "2h")
_RESULTS: Final = ("CONTINUE", "ABANDON")
_LEAST, _LONGEST = timedelta(seconds=30), timedelta(hours=2)
_LEAST_OF_OTHERS: Final = timedelta(minutes=10)  # for what SQS and SNS do not bring
_MOST: Final = 0.7
_BY_METADATA: Final = ({"metadata": "owner=ops"}, {"metadata": {"role": "db"}})
_BY_INSTANCE: Final = (
    {"availability_zone": "us-east-1a"},
    {"instance_type": "c7g.*"},
    {"tags": {"role": "db"}},
    {"tags": {"role": "web"}, "availability_zone": "*b"},
)
_METADATA: Final = ("owner=ops", '{"role":"db","zone":"z1"}', '{"role":"web"}')
_ASKING: Final = 0.35  # the share of policies with a condition that asks AWS


def draw_hooks(random: Dice) -> Data:
    """A hooks file. Each hook names its group."""
    policies: Data = {}
    hooks: list[Data] = []
    for group in _GROUPS[: random.randint(1, len(_GROUPS))]:
        for transition in ("launching", "terminating"):
            numbers = range(random.choice((0, 1, 1, 1, 1, 2)) or (0 if hooks else 1))
            hooks += [
                _draw_hook(random, f"{transition}-{number}", group, transition, policies)
                for number in numbers
            ]
    return {"version": 1, "policies": policies, "hooks": hooks}


def selecting(random: Dice, data: Data) -> Data:
    """The same file; some hooks choose their groups by a glob for all jobs, or by the tag of a group."""
    by_glob = any(hook["group"] == "jobs-a" for hook in data["hooks"]) and random.chance(0.7)
    by_tag = {group for group in _GROUPS if random.chance(0.3)}
    if by_glob:  # which chooses jobs-b, too: hooks of its own would have the same names
        data["hooks"] = [hook for hook in data["hooks"] if hook["group"] != "jobs-b"]
    for hook in data["hooks"]:
        if hook["group"] == "jobs-a" and by_glob:
            hook["group"] = "jobs-*"
        elif hook["group"] in by_tag:
            hook["group"] = {"tags": {TAG: hook["group"]}}
    return data


def groups_of(hooks: Data) -> list[str]:
    """The names of the groups that a drawn file is for: what its names, globs and tags select."""
    selectors = [hook["group"] for hook in hooks["hooks"]]
    names = [
        [name for name in _GROUPS if fnmatchcase(name, each)]
        if isinstance(each, str)
        else [each["tags"][TAG]]
        for each in selectors
    ]
    return list(dict.fromkeys(name for each in names for name in each))


def _draw_hook(random: Dice, name: str, group: str, transition: str, policies: Data) -> Data:
    written = random.choice(_SHORT if random.chance(0.5) else _LONG)
    timeout = duration.parse(written)
    ways = (
        ("sqs", "sqs", "sns", "lambda", "eventbridge") if timeout >= timedelta(minutes=10) else ("sqs", "sns")
    )
    hook: Data = {
        "name": name,
        "group": group,
        "transition": transition,
        "heartbeat_timeout": written,
        "default_result": random.choice(_RESULTS),
        "notify": random.choice(ways),
        "policy": _draw_rules(random, f"{group}-{name}", transition, timeout, policies),
    }
    _route_otherwise(hook, name)
    if random.chance(0.15):
        hook["limits"] = {
            "complete_per_minute": random.randint(1, 3),
            "abandon_per_hour": random.randint(2, 6),
        }
    return hook


def _draw_rules(random: Dice, name: str, transition: str, timeout: timedelta, policies: Data) -> object:
    policies[name] = draw_policy(random, transition, timeout)
    if random.chance(0.8):
        return name
    policies[f"{name}-else"] = draw_policy(random, transition, timeout)
    when = random.choice(({"destination": "WarmPool"}, {"after": "launch_failed"}, {"origin": "EC2"}))
    return [{"when": when, "use": f"{name}-else"}, {"use": name}]


def _route_otherwise(hook: Data, drawn: str) -> None:
    """Some rules ask for metadata instead, or of the instance.

    Drawn from what is drawn already, so that it shifts nothing.
    """
    if not isinstance(hook["policy"], list):
        return
    number = crc32(f"{drawn} {hook['heartbeat_timeout']} {hook['group']}".encode())
    if number % 2 == 0:
        hook["policy"][0]["when"] = _BY_METADATA[number // 2 % len(_BY_METADATA)]
        hook["metadata"] = _METADATA[number // 8 % len(_METADATA)]
    elif number % 8 in (1, 3, 5):
        hook["policy"][0]["when"] = _BY_INSTANCE[number // 4 % len(_BY_INSTANCE)]


def draw_policy(random: Dice, transition: str, timeout: timedelta) -> Data:
    """A policy whose waits fit into a run: some below the heartbeat timeout, some of many periods."""
    wait = min(_LONGEST, timeout * random.choice((0.3, 0.8, 1.5, 3.0, 6.0, 12.0)))
    asks = random.chance(_ASKING)
    policy: Data = {"until": _draw_asking(random, transition, wait) if asks else _draw_until(random, wait)}
    limit = 100 * timeout
    if limit > _LONGEST or random.chance(0.9):
        policy["give_up_after"] = _written(min(wait * random.uniform(0.5, 2), _LONGEST, limit))
    for key in ("on_success", "on_failure", "on_give_up"):
        if random.chance(0.4):
            policy[key] = random.choice(_RESULTS)
    if random.chance(0.12):
        policy["stalled_after"] = _written(wait * random.uniform(0.2, 0.8))
    if random.chance(0.2):
        policy["when_stopped"] = "wait"
    if random.chance(0.05):
        policy["mode"] = "observe"
    return policy


def _draw_until(random: Dice, wait: timedelta) -> list[Data]:
    elapsed = {"elapsed": _written(wait * random.uniform(0.3, 1))}
    done, ready = {"signal": "done"}, {"signal": "ready"}
    shapes: Sequence[list[Data]] = (
        [done],
        [done],
        [done],
        [elapsed],
        [elapsed],
        [elapsed, done],
        [done, ready],
        [{"any": [done, elapsed]}],
        [{"not": {"signal": "busy"}}, done],
        [],
    )
    return list(random.choice(shapes))


def _draw_asking(random: Dice, transition: str, wait: timedelta) -> list[Data]:
    """One to three conditions that ask AWS, alone, beside others, one after the other, or turned round."""
    kinds = list(kinds_of(transition))
    random.shuffle(kinds)
    done, elapsed = {"signal": "done"}, {"elapsed": _written(wait * random.uniform(0.2, 0.8))}
    # Drawn from what is drawn already, so that it shifts nothing.
    is_otherwise = crc32(elapsed["elapsed"].encode()) % 3 == 0
    written = {**CONDITIONS, **OTHERWISE} if is_otherwise else CONDITIONS
    first, second, third = ({**written[kind]} for kind in kinds[:3])
    turned = next((kind for kind in kinds if kind.endswith(("healthy", "active", "status"))), None)
    shapes: Sequence[list[Data]] = (
        [first],
        [first],
        [first, second],
        [first, done],
        [{"any": [first, done]}],
        [{"any": [first, second, third]}],
        [{**done, "then": first}],
        [{**first, "then": [second, done]}],
        [{**elapsed, "then": first}],
        [{"not": {**written[turned]}}, done] if turned else [first, elapsed],
    )
    return list(random.choice(shapes))


def asking(random: Dice, data: Data) -> Data:
    """The same file; most policies ask AWS of what may hold and not hold again, and little besides."""
    for hook in data["hooks"]:
        kinds = [each for each in kinds_of(hook["transition"]) if each not in ("command", "function")]
        for policy in _policies_of(hook, data):
            asked, done = {**CONDITIONS[random.choice(kinds)]}, {"signal": "done"}
            shapes: Sequence[list[Data]] = (
                [asked],
                [asked],
                [{"any": [asked, done]}],
                [{**done, "then": asked}],
            )
            until = list(random.choice(shapes))
            if random.chance(_MOST):
                policy["until"] = until
    return data


def saying(random: Dice, data: Data) -> Data:
    """The same file; most policies wait for signals of several names."""
    done, ready, busy = {"signal": "done"}, {"signal": "ready"}, {"signal": "busy"}
    for hook in data["hooks"]:
        for policy in _policies_of(hook, data):
            shapes: Sequence[list[Data]] = (
                [{**done}, {**ready}],
                [{"not": {**busy}}, {**done}],
                [{"not": {**busy}}, {**done}, {**ready}],
                [{"any": [{**ready}, {**done}]}],
                [{**done, "then": {**ready}}],
            )
            until = random.choice(shapes)
            if random.chance(_MOST):
                policy["until"] = until
    return data


def taking_turns(random: Dice, data: Data) -> Data:
    """The same file; of most hooks only one or two actions may begin at once, and most take their time."""
    for hook in data["hooks"]:
        if random.chance(_MOST):
            hook["limits"] = {**hook.get("limits", {}), "at_once": random.choice((1, 1, 2))}
        for policy in _policies_of(hook, data):
            lasts = timedelta(minutes=random.choice((1, 3, 8)))
            is_long = policy.get("give_up_after") and duration.parse(policy["give_up_after"]) > 2 * lasts
            if is_long and random.chance(_MOST):
                policy["until"] = [{"elapsed": _written(lasts)}]
    return data


def lasting(random: Dice, data: Data) -> Data:
    """The same file; one hook has a short timeout, and its waits go on until their global timeout is near.

    The shortest: a deploy that lowers it would leave a global timeout below the patience of its policy.
    """
    hook = random.choice(data["hooks"])
    hook["heartbeat_timeout"] = _SHORT[0]
    hook["notify"] = random.choice(("sqs", "sns"))
    hook["limits"] = {"at_once": 1}
    for policy in _policies_of(hook, data):
        policy["until"] = [{"signal": "never"}]
        policy["give_up_after"] = _written(100 * duration.parse(hook["heartbeat_timeout"]))
        policy.pop("stalled_after", None)
    return data


def _policies_of(hook: Data, data: Data) -> list[Data]:
    rules = hook["policy"]
    names = [rules] if isinstance(rules, str) else [rule["use"] for rule in rules]
    return [data["policies"][name] for name in names]


def _written(length: timedelta) -> str:
    return duration.written(max(length, timedelta(seconds=5)))


def changed(random: Dice, hooks: Data, former: Sequence[Data] = ()) -> Data:
    """The hooks file of the next deploy, with some changes. What one of `former` had may come back."""
    data: Data = json.loads(json.dumps(hooks))
    for hook in data["hooks"]:
        timeout = duration.parse(hook["heartbeat_timeout"])
        if random.chance(0.5):
            name = f"{_name_of(hook)}-{random.randrange(1000)}"
            hook["policy"] = _draw_rules(random, name, hook["transition"], timeout, data["policies"])
            _route_otherwise(hook, name)
        if random.chance(0.2):
            hook["default_result"] = random.choice(_RESULTS)
        if random.chance(0.15) and timeout <= timedelta(minutes=10):
            least = _LEAST if hook["notify"] in ("sqs", "sns") else _LEAST_OF_OTHERS
            hook["heartbeat_timeout"] = _written(max(least, timeout * random.choice((0.5, 2, 3))))
    _give_and_take(random, data, former)
    return data


def _name_of(hook: Data) -> str:
    group = hook["group"] if isinstance(hook["group"], str) else hook["group"]["tags"][TAG]
    return f"{group.replace('*', 'all')}-{hook['name']}"


def _give_and_take(random: Dice, data: Data, former: Sequence[Data]) -> None:
    """A hook out, or renamed, or brought back; a glob narrowed to one group."""
    hooks = data["hooks"]
    if len(hooks) > 1 and random.chance(0.4):
        hooks.pop(random.randrange(len(hooks)))
    elif random.chance(0.2):
        hooks[0]["name"] += "-renamed"
    known = {_name_of(hook) for hook in hooks}
    for file in former:
        for hook in file["hooks"]:
            if _name_of(hook) not in known and "*" not in str(hook["group"]) and random.chance(0.5):
                data["policies"] = {**file["policies"], **data["policies"]}
                hooks.append(json.loads(json.dumps(hook)))
                known.add(_name_of(hook))
    for hook in hooks:
        if hook["group"] == "jobs-*" and random.chance(0.9):
            hook["group"] = "jobs-a"


def changes(before: Data, after: Data) -> set[str]:
    """What a deploy of another hooks file changes, in words."""
    old, new = ({_name_of(hook): hook for hook in data["hooks"]} for data in (before, after))
    both = [(old[name], new[name]) for name in old.keys() & new.keys()]
    told: dict[str, Collection[object]] = {
        "hook taken out": old.keys() - new.keys(),
        "hook put in": new.keys() - old.keys(),
    }
    timeouts = [tuple(duration.parse(hook["heartbeat_timeout"]) for hook in pair) for pair in both]
    told["timeout raised"] = {one for one in timeouts if one[0] < one[1]}
    told["timeout lowered"] = {one for one in timeouts if one[0] > one[1]}
    told["policy changed"] = {one["name"] for one, other in both if one["policy"] != other["policy"]}
    told["glob narrowed"] = {hook["name"] for hook in old.values() if hook["group"] == "jobs-*"} - {
        hook["name"] for hook in new.values() if hook["group"] == "jobs-*"
    }
    return {f"deploy: {what}" for what, found in told.items() if found}
