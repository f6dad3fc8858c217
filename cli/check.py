"""`usher check`: whether a hooks file is sound, and what each of its hooks will do."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from rich.console import Console

from cli import hooks_file
from usher.core import deadlines, span
from usher.core.conditions.elapsed import Elapsed
from usher.core.conditions.signalled import Signalled
from usher.core.model import Transition
from usher.core.policy import Limits, Mode, globs_meet

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import timedelta

    from cli.hooks_file import HooksFile
    from usher.core.field import Path as FieldPath
    from usher.core.policy import Configuration, GroupSelector, Hook, Policy, Rule

BAD_CONFIGURATION: Final = 2  # the exit code


@dataclass(frozen=True, kw_only=True, slots=True)
class Warned:
    """Something that is allowed, and probably not meant."""

    path: FieldPath
    text: str


@click.command(short_help="Check a hooks file, and say what each of its hooks will do.")
@click.argument("file", type=click.Path(path_type=Path), default="hooks.yaml")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with all durations in seconds.")
@click.pass_context
def check(context: click.Context, file: Path, as_json: bool) -> None:
    """Check a hooks FILE (default: hooks.yaml), and say what each hook will do.

    Warns of what is allowed but probably not meant. Exits with 2 where the file is not sound.

    \b
    Examples:
      usher check
      usher check --json staging/hooks.yaml
    """  # noqa: D301 - \b keeps click from joining the lines of the examples
    messages = _console(stderr=True)
    try:
        examined = hooks_file.examine(file)
    except hooks_file.HooksFileRefused as refused:
        for complaint in refused.complaints:
            messages.print(complaint, style="red")
        messages.print(f"Nothing of {file} is used. Mend the above, then run: usher check {file}")
        context.exit(BAD_CONFIGURATION)
    warned = [(examined.lines[one.path], one.text) for one in warnings(examined.configuration)]
    for line, text in warned:
        messages.print(f"{file}:{line}: warning: {text}", style="yellow")
    if as_json:
        click.echo(json.dumps(_as_json(examined, warned), indent=2))
    else:
        _print_sentences(examined)


def _console(*, stderr: bool = False) -> Console:
    """Colour on a terminal only. Lines are left whole, and brackets are no markup."""
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False, soft_wrap=True)


# In words


def _print_sentences(examined: HooksFile) -> None:
    console = _console()
    for hook in examined.configuration.hooks:
        for text, style in _hook_lines(hook):
            console.print(text, style=style)
        console.print()
    hooks, policies = len(examined.configuration.hooks), len(examined.configuration.policies)
    console.print(f"{examined.name} is sound. Hooks: {hooks}. Policies: {policies}.", style="green")


def _hook_lines(hook: Hook) -> Iterator[tuple[str, str | None]]:
    yield f"{hook.name}: holds {hook.transition} instances of {_group(hook.group)}", "cyan"
    timeout, margin = hook.heartbeat_timeout, deadlines.usual_margin(hook.heartbeat_timeout)
    limit = span.written(deadlines.global_timeout(timeout))
    yield f"  heartbeat timeout {span.written(timeout)}, so no wait lasts longer than {limit}", None
    after, before = span.written(timeout - margin), span.written(margin)
    yield f"  with room a heartbeat goes out every {after}, {before} before the wait would expire", None
    yield f"  AWS notifies by {hook.notify}, and by default ends the wait with {hook.default_result}", None
    if hook.metadata is not None:
        yield f"  metadata {json.dumps(hook.metadata)}", None
    yield f"  {_limits(hook.limits)}", None
    for index, rule in enumerate(hook.rules):
        yield from _rule_lines(hook, rule, index)


def _group(group: GroupSelector) -> str:
    if group.glob is None:
        return "every group with the tags " + ", ".join(f"{key}={value}" for key, value in group.tags)
    return f"every group that fits {group.glob}" if "*" in group.glob else f"the group {group.glob}"


def _limits(limits: Limits) -> str:
    parts = []
    if limits.abandon_per_hour is not None:
        parts.append(f"{limits.abandon_per_hour} ABANDON an hour")
    if limits.complete_per_minute is not None:
        parts.append(f"{limits.complete_per_minute} results a minute")
    if not parts:
        return "no limit on the results it may send"
    return f"limits: {' and '.join(parts)} (not enforced in this release)"


def _rule_lines(hook: Hook, rule: Rule, index: int) -> Iterator[tuple[str, str | None]]:
    wanted = " and ".join(f"{field} is {value}" for field, value in rule.when)
    case = f"if {wanted}, " if wanted else "otherwise " if index else ""
    yield f"  {case}policy {rule.use.name}:", "cyan"
    if rule.use.mode is Mode.OBSERVE:
        yield "    OBSERVE ONLY: decides and records as below, and calls nothing", "yellow"
    for line in _policy_lines(hook, rule.use):
        yield f"    {line}", None


def _policy_lines(hook: Hook, policy: Policy) -> Iterator[str]:
    if not policy.until:
        yield f"waits for nothing: {policy.on_success} at first sight"
        return
    yield f"waits for {' and '.join(_conditions(policy))}, then {policy.on_success}"
    yield f"{policy.on_failure} where a condition fails for good"
    if policy.stalled_after is not None:
        yield f"{policy.on_failure} after {span.written(policy.stalled_after)} without a progress signal"
    yield f"gives up after {_patience(hook, policy)}: {_on_give_up(hook, policy)}"


def _conditions(policy: Policy) -> list[str]:
    """As the file has them, e.g. `signal jobs-finished`."""
    until: list[dict[str, object]] = json.loads(policy.source)["until"]
    return [f"{kind} {value}" for condition in until for kind, value in condition.items()]


def _patience(hook: Hook, policy: Policy) -> str:
    effective = deadlines.patience(hook.heartbeat_timeout, policy.give_up_after)
    given = policy.give_up_after
    if given is None:
        return f"{span.written(effective)} (shortly before the longest wait)"
    if given > effective:
        return f"{span.written(effective)} (not {span.written(given)}, to be ahead of AWS)"
    return span.written(effective)


def _on_give_up(hook: Hook, policy: Policy) -> str:
    return policy.on_give_up or hook.default_result


# As JSON


def _as_json(examined: HooksFile, warned: list[tuple[int, str]]) -> dict[str, object]:
    return {
        "file": examined.name,
        "hooks": [_hook_json(hook) for hook in examined.configuration.hooks],
        "warnings": [{"line": line, "warning": text} for line, text in warned],
    }


def _hook_json(hook: Hook) -> dict[str, object]:
    timeout, margin = hook.heartbeat_timeout, deadlines.usual_margin(hook.heartbeat_timeout)
    return {
        "name": hook.name,
        "group": hook.group.glob,
        "tags": dict(hook.group.tags),
        "transition": hook.transition,
        "heartbeat_timeout_seconds": _seconds(timeout),
        "global_timeout_seconds": _seconds(deadlines.global_timeout(timeout)),
        "heartbeat_every_seconds": _seconds(timeout - margin),
        "default_result": hook.default_result,
        "notify": hook.notify,
        "metadata": hook.metadata,
        "limits": {
            "abandon_per_hour": hook.limits.abandon_per_hour,
            "complete_per_minute": hook.limits.complete_per_minute,
        },
        "rules": [_rule_json(hook, rule) for rule in hook.rules],
    }


def _rule_json(hook: Hook, rule: Rule) -> dict[str, object]:
    policy = rule.use
    return {
        "when": dict(rule.when),
        "policy": policy.name,
        "mode": policy.mode,
        "until": json.loads(policy.source)["until"],
        "on_success": policy.on_success,
        "on_failure": policy.on_failure,
        "stalled_after_seconds": None if policy.stalled_after is None else _seconds(policy.stalled_after),
        "give_up_after_seconds": _seconds(deadlines.patience(hook.heartbeat_timeout, policy.give_up_after)),
        "on_give_up": _on_give_up(hook, policy),
    }


def _seconds(duration: timedelta) -> float:
    """Whole where it is whole."""
    seconds = duration.total_seconds()
    return int(seconds) if seconds.is_integer() else seconds


# What is probably not meant


# Every move of an instance that a hook can hold: its origin and its destination (aws-facts 2.8, 2.9).
MOVES: Final = {
    Transition.LAUNCHING: (
        ("EC2", "AutoScalingGroup"),
        ("EC2", "WarmPool"),
        ("WarmPool", "AutoScalingGroup"),
        ("AutoScalingGroup", "AutoScalingGroup"),  # a new root volume
    ),
    Transition.TERMINATING: (
        ("AutoScalingGroup", "EC2"),
        ("AutoScalingGroup", "WarmPool"),
        ("WarmPool", "EC2"),
        ("AutoScalingGroup", "AutoScalingGroup"),  # a new root volume
    ),
}


def warnings(found: Configuration) -> list[Warned]:
    """Everything in a sound configuration that is allowed, and probably not meant."""
    each_policy = [warned for policy in found.policies.values() for warned in _of_policy(policy)]
    each_hook = [warned for index, hook in enumerate(found.hooks) for warned in _of_hook(hook, index)]
    numbered = enumerate(found.hooks)
    pairs = [warned for one, other in combinations(numbered, 2) for warned in _of_pair(one, other)]
    return [*_of_unused(found), *each_policy, *each_hook, *pairs]


def _of_unused(found: Configuration) -> Iterator[Warned]:
    used = {rule.use.name for hook in found.hooks for rule in hook.rules}
    for name in found.policies:
        if name not in used:
            yield Warned(path=("policies", name), text=f"no hook uses the policy {name}")
    if not found.hooks:
        yield Warned(path=("hooks",), text="there is no hook, so Usher holds nothing")


def _of_policy(policy: Policy) -> Iterator[Warned]:
    for index, (condition, written) in enumerate(zip(policy.until, _conditions(policy), strict=True)):
        if condition in policy.until[:index]:
            path = ("policies", policy.name, "until", index)
            yield Warned(path=path, text=f"{policy.name} has {written} already")


def _of_hook(hook: Hook, index: int) -> Iterator[Warned]:
    path = ("hooks", index)
    if hook.limits != Limits():
        text = f"the limits of {hook.name} are not enforced in this release"
        yield Warned(path=(*path, "limits"), text=text)
    if hook.group.glob is None:
        text = (
            f"the tags of {hook.name} are not looked at in this release: it acts on the {hook.transition} "
            f"instances of every group that has a hook {hook.name}"
        )
        yield Warned(path=(*path, "group"), text=text)
    else:
        yield from _of_wildcards(hook.group.glob, (*path, "group"))
    yield from _of_patience(hook, index)
    for number, rule in enumerate(hook.rules):
        yield from _of_rule(hook, rule, (*path, "policy", number, "when"))


def _of_wildcards(glob: str, path: FieldPath) -> Iterator[Warned]:
    plain = " and ".join(sign for sign in "?[" if sign in glob)
    if plain:
        yield Warned(
            path=path, text=f"in {glob} only * is a wildcard: {plain} must stand in the group's name"
        )


def _of_rule(hook: Hook, rule: Rule, path: FieldPath) -> Iterator[Warned]:
    when = dict(rule.when)
    for why in _unfitting(hook, when):
        yield Warned(path=path, text=f"a rule of {hook.name} never fits: {why}")
    if "group" in when:
        yield from _of_wildcards(when["group"], (*path, "group"))


def _unfitting(hook: Hook, when: Mapping[str, str]) -> Iterator[str]:
    transition, group, glob = hook.transition, when.get("group"), hook.group.glob
    if when.get("transition", transition) != transition:
        yield f"the hook holds {transition} instances"
    if group is not None and glob is not None and not globs_meet(glob, group):
        yield f"no group fits both {glob} and {group}"
    if "after" in when and transition is Transition.LAUNCHING:
        yield "after: launch_failed is of terminating instances"
    places = {field: when[field] for field in ("origin", "destination") if field in when}
    moves = [{"origin": origin, "destination": destination} for origin, destination in MOVES[transition]]
    if not any(places.items() <= move.items() for move in moves):
        asked = " and ".join(f"{field} {place}" for field, place in places.items())
        yield f"no {transition} instance has {asked}"


def _of_patience(hook: Hook, index: int) -> Iterator[Warned]:
    """Of each policy once, however many of the hook's rules use it."""
    for policy in {rule.use.name: rule.use for rule in hook.rules}.values():
        for text in _hopeless(hook, policy):
            yield Warned(path=("hooks", index, "policy"), text=f"{hook.name} with {policy.name}: {text}")


def _hopeless(hook: Hook, policy: Policy) -> Iterator[str]:
    patience = deadlines.patience(hook.heartbeat_timeout, policy.give_up_after)
    gives_up = f"gives up after {span.written(patience)}"
    for condition in policy.until:
        if isinstance(condition, Elapsed) and condition.after > patience:
            yield f"elapsed {span.written(condition.after)} never holds, since it {gives_up}"
    if policy.until and policy.stalled_after is not None and policy.stalled_after >= patience:
        yield f"stalled_after {span.written(policy.stalled_after)} never counts, since it {gives_up}"


def _of_pair(one: tuple[int, Hook], other: tuple[int, Hook]) -> Iterator[Warned]:
    (_, first), (index, second) = one, other
    if not first.group.may_share(second.group):
        return
    if first.transition is second.transition:
        if first.name == second.name:
            yield Warned(path=("hooks", index, "name"), text=_of_one_name(first, second))
        for name in sorted(_signals(first) & _signals(second)):
            text = (
                f"{first.name} and {second.name} may hold the same instance, and both wait for signal "
                f"{name}: one without a LifecycleActionToken counts for one of them only"
            )
            yield Warned(path=("hooks", index, "policy"), text=text)


def _of_one_name(first: Hook, second: Hook) -> str:
    """One of them goes by tags at least: two that do not are refused."""
    glob = first.group.glob or second.group.glob
    if glob is None:
        return (
            f"{second.name} is the name of two hooks by tags: a message does not tell the tags of its "
            f"group, so the first of them takes the messages of both"
        )
    return (
        f"{second.name} is the name of a hook by tags and of one for {glob}: that one takes the messages "
        f"of {glob}, whatever the tags"
    )


def _signals(hook: Hook) -> set[str]:
    conditions = (condition for rule in hook.rules for condition in rule.use.until)
    return {condition.name for condition in conditions if isinstance(condition, Signalled)}
