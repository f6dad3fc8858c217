"""Hooks files of fleets, drawn by seed: `usher check` takes one only where its templates keep AWS's limits.

A third is drawn to be near a limit, on either side of it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import click

from tests.infra import aws_limits
from tests.infra.stacks import made_templates
from usher_cdk.configuration import Deployment
from usher_hooksfile.load import HooksFileRefused, examine
from usher_simulator.trials.dice import Dice

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Data = dict[str, Any]

_PLAIN: Final = "abcdefghijklmnopqrstuvwxyz0123456789-"
_ODD: Final = _PLAIN + "AZ_. ?[]$'\"\\{}é§"
_EDGES: Final = ("groups", "tags", "questions", "file")
_WAYS: Final = ("sqs", "sqs", "sns", "eventbridge", "lambda")
_PROGRESS: Final = 50

# By what a refusal says.
REFUSALS: Final = {
    "select groups by a shared glob or tag": "groups in ten policies",
    "use fewer functions, documents and clusters": "conditions in ten policies",
    "fit into one policy": "tags in one policy",
    "beyond ÿ": "a character that no policy takes",
    "must compile to at most": "the compiled file",
    "at most 50 hooks on a group": "hooks on a group",
    "must be at most 1048576 bytes": "the file",
    "must have at most 20000 values": "values in the file",
}


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What became of one drawn file."""

    seed: int
    refused_by: str | None  # None: taken
    wrong: Sequence[str] = ()
    used: dict[str, int] | None = None  # of each limit, where it was taken


def draw(dice: Dice) -> Data:
    """A hooks file as plain data."""
    edge = dice.choice(_EDGES) if dice.chance(0.33) else ""
    policies = _policies(dice, edge)
    hooks = [
        _hook(dice, number, group, policies, edge)
        for number, group in enumerate(_groups(dice, edge))
        for _ in range(dice.choice((1, 1, 1, 2, 3)))
    ]
    for number, hook in enumerate(hooks):
        hook["name"] = f"{hook['name']}{number}"
    return {"version": 1, "policies": policies, "hooks": hooks}


def draw_settings(dice: Dice) -> Data:
    """What a deployment may say besides."""
    return {
        "customer_key": dice.chance(0.3),
        "announce": dice.chance(0.3),
        "sns_raw_delivery": dice.chance(0.2),
        "alarm_email": "ops@example.com" if dice.chance(0.3) else None,
        "own_groups": tuple(f"own-{number}" for number in range(dice.choice((0, 0, 1, 40)))),
    }


def _groups(dice: Dice, edge: str) -> Iterator[object]:
    length, odd = dice.choice((8, 16, 16, 40, 120, 255)), dice.chance(0.2)
    count = round(dice.between(1, 700))
    if edge == "groups":
        count = round(60_000 / (105 + length) * dice.uniform(0.9, 1.1))
    elif edge == "tags":
        count = round(60_000 / 330 * dice.uniform(0.9, 1.1))
    elif edge:
        count = round(dice.between(1, 40))
    kinds = ("tags",) if edge == "tags" else ("name",) if edge == "file" else ("name", "name", "glob", "tags")
    few = [dice.choice(kinds) for _ in range(dice.choice((1, 2)))]
    for number in range(count):
        match dice.choice(few):
            case "tags":
                yield {"tags": _tags(dice, number)}
            case "glob":
                yield _glob(dice, number, length, odd=odd)
            case _:
                yield _name(dice, number, length, odd=odd)


def _text(dice: Dice, number: int, length: int, *, odd: bool) -> str:
    """Another one for each number."""
    alphabet = _ODD + ("日" if dice.chance(0.02) else "") if odd else _PLAIN
    return f"g{number}-" + "".join(dice.choices(alphabet, k=max(1, length - len(f"g{number}-"))))


def _name(dice: Dice, number: int, length: int, *, odd: bool) -> str:
    return _text(dice, number, length, odd=odd)[:255]


def _glob(dice: Dice, number: int, length: int, *, odd: bool) -> str:
    text = _text(dice, number, min(length, 240), odd=odd)
    for _ in range(dice.randint(1, 4)):
        place = dice.randint(0, len(text))
        text = text[:place] + dice.choice(("*", "*", "**")) + text[place:]
    return text


def _tags(dice: Dice, number: int) -> dict[str, str]:
    others = {
        f"k{each}{'y' * dice.choice((1, 20, 100))}": "v" * dice.choice((1, 20, 256))
        for each in range(dice.choice((0, 0, 1, 3)) if dice.chance(0.998) else 45)
    }
    return {"team": f"team-{number}{dice.choice(('', ' a', '$', 'é'))}", **others}


def _policies(dice: Dice, edge: str) -> Data:
    count = round(dice.between(1, 60))
    if edge == "questions":
        count = dice.randint(250, 500)
    return {f"p{number}": _policy(dice, number, edge) for number in range(count)}


def _policy(dice: Dice, number: int, edge: str) -> Data:
    until = [_condition(dice, number, edge) for _ in range(1 if edge == "questions" else dice.randint(0, 2))]
    unique = {json.dumps(each): each for each in until}
    return {"until": list(unique.values()), "give_up_after": "20m"}


def _condition(dice: Dice, number: int, edge: str) -> Data:
    name = f"{number}-" + "n" * dice.choice((4, 20, 50))
    asks = questions(dice, number, name)
    if edge == "questions" or dice.chance(0.4):
        return dice.choice(asks)
    return dice.choice(({"signal": f"s{name}"}, {"elapsed": "90s"}, {"any": [{"signal": "a"}, *asks[:1]]}))


def questions(dice: Dice, number: int, name: str) -> list[Data]:
    """A condition of each kind that asks AWS."""
    return [
        {"function": name},
        {"function": f"arn:aws:lambda:us-east-1:123456789012:function:{name}:live"},
        {"command": {"document": f"d{name}", "parameters": {"commands": "x" * dice.choice((1, 100))}}},
        {"ecs": {"state": dice.choice(("active", "drained")), "cluster": f"c{name}"}},
        {"targets": {"groups": [f"t{number}"], "state": "healthy"}},
        {"instance_status": "ok"},
    ]


def _hook(dice: Dice, number: int, group: object, policies: Data, edge: str) -> Data:
    policy = dice.choice(list(policies))
    on_the_way_out = "drained" in json.dumps(policies[policy])
    hook: Data = {
        "name": "h" * dice.choice((1, 8, 200)) + f"-{number}-",
        "group": group,
        "transition": "terminating" if on_the_way_out else dice.choice(("launching", "terminating")),
        "heartbeat_timeout": "10m",
        "notify": dice.choice(_WAYS),
        "policy": policy,
    }
    if edge == "file" or dice.chance(0.2):
        hook["metadata"] = "m" * (1_000 if edge == "file" else dice.randint(1, 200))
    if dice.chance(0.1):
        hook["limits"] = {"abandon_per_hour": dice.randint(1, 9)}
    return hook


def judge(seed: int, folder: Path) -> Judged:
    """Draw, check, and where it is taken make the template and reckon."""
    dice = Dice.of(seed, "fleet")
    data, settings = draw(dice), draw_settings(dice)
    file = folder / "hooks.yaml"
    file.write_text(json.dumps(data, ensure_ascii=False, indent=1), encoding="utf-8")
    try:
        examined = examine(file)
    except HooksFileRefused as refused:
        return Judged(seed=seed, refused_by=_why(refused.complaints[0]))
    of = Deployment(configuration=examined.configuration, hooks_data=examined.data, **settings)
    template = made_templates(of)["Usher"]
    wrong = [*aws_limits.breaches(template), *other_rights(data, template)]
    return Judged(seed=seed, refused_by=None, wrong=wrong, used=aws_limits.usage(template))


def _why(complaint: str) -> str:
    return next((limit for words, limit in REFUSALS.items() if words in complaint), complaint)


def other_rights(data: Data, template: Data) -> Iterator[str]:
    """Rights that the file does not ask for, and those that it does and that are not there."""
    groups = [hook["group"] for hook in data["hooks"]]
    wanted = {_literal(each, "$?") for each in groups if isinstance(each, str)}
    wanted |= {
        json.dumps({key: _literal(value, "$") for key, value in each["tags"].items()}, sort_keys=True)
        for each in groups
        if not isinstance(each, str)
    }
    for role in ("SweepRole", "ProvisionRole"):
        yield from _differ(role, wanted, set(_may_put(template, role)))
    conditions = [
        one
        for policy in data["policies"].values()
        for each in policy["until"]
        for one in each.get("any", [each])
    ]
    functions = {one["function"].rpartition("function:")[2] for one in conditions if "function" in one}
    yield from _differ(
        "QuestionsRole", functions, set(_resources(template, "lambda:InvokeFunction", "function:"))
    )
    documents = {one["command"]["document"] for one in conditions if "command" in one}
    sent = {each for each in _resources(template, "ssm:SendCommand", "document/") if "instance/" not in each}
    yield from _differ("QuestionsRole", documents, sent)


def _literal(text: str, special: str) -> str:
    """As IAM must have it, to which these characters mean something."""
    return "".join(f"${{{each}}}" if each in special else each for each in text)


def _differ(role: str, wanted: set[str], given: set[str]) -> Iterator[str]:
    yield from (f"{role} may not: {each[:80]}" for each in sorted(wanted - given)[:3])
    yield from (f"{role} may, unasked: {each[:80]}" for each in sorted(given - wanted)[:3])


def _may_put(template: Data, role: str) -> Iterator[str]:
    for statement in aws_limits.granted(template, role):
        if statement["Action"] != "autoscaling:PutLifecycleHook":
            continue
        names = _names(statement, "autoScalingGroupName/")
        if "Condition" in statement:
            assert names == ["*"]
            tags = statement["Condition"]["StringEquals"].items()
            yield json.dumps({key.removeprefix("aws:ResourceTag/"): one for key, one in tags}, sort_keys=True)
        else:
            yield from names


def _resources(template: Data, action: str, before: str) -> Iterator[str]:
    for statement in aws_limits.granted(template, "QuestionsRole"):
        if statement["Action"] == action:
            yield from _names(statement, before)


def _names(statement: Data, before: str) -> list[str]:
    resources = aws_limits.rendered(statement["Resource"])
    return [
        each.partition(before)[2] or each
        for each in ([resources] if isinstance(resources, str) else resources)
    ]


def main() -> int:
    """Judge so many; 1 where one was taken that AWS would refuse, or whose rights are others."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fleets", type=int, default=2_000)
    parser.add_argument("--from", dest="first", type=int, default=1)
    asked = parser.parse_args()
    refused, nearest, wrong = Counter[str](), Counter[str](), 0
    with TemporaryDirectory() as folder:
        for done, seed in enumerate(range(asked.first, asked.first + asked.fleets), start=1):
            judged = judge(seed, Path(folder))
            refused[judged.refused_by or "taken"] += 1
            nearest |= Counter(judged.used or {})
            for each in judged.wrong:
                wrong += 1
                click.echo(f"seed {seed}: {each}. Again: make drawn-fleets FLEETS=1 FROM={seed}")
            if done % _PROGRESS == 0:
                click.echo(f"{done} of {asked.fleets}: {refused['taken']} taken", err=True)
    for what, count in refused.most_common():
        click.echo(f"{count:6}  {'' if what == 'taken' else 'refused: '}{what}")
    for what, most in aws_limits.MOST.items():
        click.echo(f"{nearest[what]:9,} of {most:9,}  {what}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
