"""`usher check`: whether hooks files are valid, and what each of their hooks will do."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from usher.core import deadlines, duration
from usher.core.action import Transition
from usher.core.conditions.instance_facts import LONGEST
from usher.core.conditions.targets import Targets
from usher.core.limits import Sharing
from usher.core.places import PATIENCE_OUTLASTED
from usher.core.policy import Mode, WhenStopped
from usher_hooksfile import load
from usher_hooksfile.warnings import warnings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

    from usher.core.limits import Limits
    from usher.core.policy import GroupSelector, Hook, Policy, Rule
    from usher_hooksfile.load import HooksFile

BAD_CONFIGURATION: Final = 2  # the exit code

_STOPPED: Final = {
    WhenStopped.END: "CONTINUE if EC2 reports the instance as stopped, in an ordinary termination",
    WhenStopped.WAIT: "a stopped instance is held like one that runs",
}
_ASKS: Final = (
    "asks EC2 about each instance once, before a policy is chosen; a rule whose answer has not come after "
    f"{duration.written(LONGEST)}, or half of the shortest time to giving up, is passed over"
)
_OWN_TARGET_GROUPS: Final = {
    Transition.LAUNCHING: "Auto Scaling adds the instance to its group's own target groups only after this "
    "hook, so waiting for one of them never ends",
    Transition.TERMINATING: "Auto Scaling removes the instance from its group's own target groups before "
    "this hook, so in those it is always drained",
}


@click.command()
@click.argument("files", metavar="[FILE]...", type=click.Path(path_type=Path), nargs=-1)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print JSON: the hooks of one FILE (durations in seconds), or its problems.",
)
@click.pass_context
def check(context: click.Context, files: tuple[Path, ...], *, as_json: bool) -> None:
    """Check hooks files, and describe what each of their hooks will do.

    FILE is hooks.yaml by default. Warns about what is allowed but probably not intended. The exit
    code is 2 if a file is invalid.

    \b
    Examples:
      usher check
      usher check --json staging/hooks.yaml
      usher check staging/hooks.yaml production/hooks.yaml
    """  # noqa: D301 - \b keeps click from joining the lines of the examples
    if as_json and len(files) > 1:
        raise click.UsageError("--json takes one FILE.")
    valid = [_checked(file, as_json=as_json) for file in files or (Path("hooks.yaml"),)]
    context.exit(0 if all(valid) else BAD_CONFIGURATION)


def _checked(file: Path, *, as_json: bool) -> bool:
    """Print what there is to say about a file; whether it is valid."""
    try:
        examined = load.examine(file)
    except load.HooksFileRefused as refused:
        for complaint in refused.complaints:
            _say(complaint, "red", err=True)
        if file.exists():
            _say(f"{file} is invalid. Correct it, then run: usher check {file}", err=True)
        else:
            _say(f"To draft one from the groups of an account, run: usher init --output {file}", err=True)
        if as_json:
            problems = [asdict(problem) for problem in refused.problems]
            click.echo(json.dumps({"file": str(file), "problems": problems}, indent=2))
        return False
    warned = [(examined.lines[warning.path], warning.text) for warning in warnings(examined.configuration)]
    for line, text in warned:
        _say(f"{file}:{line}: warning: {text}", "yellow", err=True)
    if as_json:
        click.echo(json.dumps(_as_json(examined, warned), indent=2))
    else:
        _print_sentences(examined)
    return True


def _say(text: str, colour: str | None = None, *, err: bool = False) -> None:
    """A line, in colour on a terminal only; by click, for importing rich takes as long as the check does."""
    environment = os.environ
    is_plain = environment.get("NO_COLOR") or environment.get("TERM") == "dumb"
    coloured = False if is_plain else True if environment.get("FORCE_COLOR") else None
    click.secho(text, fg=colour, err=err, color=coloured)


# Output for people


def _print_sentences(examined: HooksFile) -> None:
    for hook in examined.configuration.hooks:
        for text, style in _hook_lines(hook):
            _say(text, style)
        _say("")
    hooks, policies = len(examined.configuration.hooks), len(examined.configuration.policies)
    _say(f"{examined.name} is valid. Hooks: {hooks}. Policies: {policies}.", "green")


def _hook_lines(hook: Hook) -> Iterator[tuple[str, str | None]]:
    yield f"{hook.name}: holds {hook.transition} instances of {_group(hook.group)}", "cyan"
    timeout, margin = hook.heartbeat_timeout, deadlines.usual_margin(hook.heartbeat_timeout)
    limit = duration.written(deadlines.global_timeout(timeout))
    yield f"  heartbeat timeout {duration.written(timeout)}, so no wait lasts longer than {limit}", None
    after, before = duration.written(timeout - margin), duration.written(margin)
    yield f"  if the call budget allows, a heartbeat is sent every {after}, {before} before the expiry", None
    yield f"  AWS notifies by {hook.notify}; the default result is {hook.default_result}", None
    if hook.metadata is not None:
        yield f"  metadata {json.dumps(hook.metadata)}", None
    yield f"  {_limits(hook)}", None
    if hook.limits.at_once is not None:
        yield f"  {_at_once(hook.limits)}", None
    if hook.asks:
        yield f"  {_ASKS}", None
    for index, rule in enumerate(hook.rules):
        yield from _rule_lines(hook, rule, index)


def _group(group: GroupSelector) -> str:
    if group.glob is None:
        return "every group with the tags " + ", ".join(f"{key}={value}" for key, value in group.tags)
    return f"every group that matches {group.glob}" if "*" in group.glob else f"the group {group.glob}"


def _limits(hook: Hook) -> str:
    limits, parts = hook.limits, []
    if limits.abandon_per_hour is not None:
        parts.append(f"{limits.abandon_per_hour} ABANDON per hour")
    if limits.complete_per_minute is not None:
        parts.append(f"{limits.complete_per_minute} results per minute")
    if not parts:
        return "no limit on its results"
    timeout = hook.heartbeat_timeout
    longest = duration.written(deadlines.patience(timeout, deadlines.global_timeout(timeout)))
    return f"limits: {' and '.join(parts)}; further results are held back, until {longest} after the start"


def _at_once(limits: Limits) -> str:
    scope = "of each group" if limits.at_once_per is Sharing.GROUP else "of all its groups together"
    return (
        f"at once: {limits.at_once} {scope}; the others are held until their turn, and nothing is asked or "
        "started for them"
    )


def _queue(hook: Hook, policy: Policy) -> int | None:
    """How many that begin together get their turn for sure, if each takes all of its patience."""
    if hook.limits.at_once is None or not policy.takes_turns:
        return None
    timeout = hook.heartbeat_timeout
    most = deadlines.global_timeout(timeout) - deadlines.usual_margin(timeout)
    rounds = most // (deadlines.patience(timeout, policy.give_up_after) + PATIENCE_OUTLASTED)
    return hook.limits.at_once * max(1, rounds)


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
        yield f"waits for nothing: {policy.on_success} at the first evaluation"
        return
    queue = _queue(hook, policy)
    conditions = " and ".join(condition.in_words for condition in policy.until)
    yield f"waits for {conditions}, then {policy.on_success}"
    if any(isinstance(leaf, Targets) for leaf in policy.leaves):
        yield f"note: {_OWN_TARGET_GROUPS[hook.transition]}"
    yield f"{policy.on_failure} if a condition fails permanently"
    if policy.stalled_after is not None:
        yield f"{policy.on_failure} after {duration.written(policy.stalled_after)} without a progress signal"
    if hook.transition is Transition.TERMINATING:
        yield _STOPPED[policy.when_stopped]
    since = "" if queue is None else " from the begin of its turn"
    yield f"gives up after {_patience(hook, policy)}{since}: {_on_give_up(hook, policy)}"
    if queue is not None:
        yield (
            f"if each takes all that time, {queue} that begin together get their turn before the global "
            f"timeout; any further one may end without a turn: {_on_give_up(hook, policy)}"
        )


def _patience(hook: Hook, policy: Policy) -> str:
    effective = deadlines.patience(hook.heartbeat_timeout, policy.give_up_after)
    given = policy.give_up_after
    if given is None:
        return f"{duration.written(effective)} (shortly before the global timeout)"
    if given > effective:
        return (
            f"{duration.written(effective)} (not {duration.written(given)}: too close to the global timeout)"
        )
    return duration.written(effective)


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
            "at_once": hook.limits.at_once,
            "at_once_per": hook.limits.at_once_per,
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
        "when_stopped": policy.when_stopped,
        "stalled_after_seconds": None if policy.stalled_after is None else _seconds(policy.stalled_after),
        "give_up_after_seconds": _seconds(deadlines.patience(hook.heartbeat_timeout, policy.give_up_after)),
        "on_give_up": _on_give_up(hook, policy),
        "queue_covered": _queue(hook, policy),
    }


def _seconds(duration: timedelta) -> float:
    """Whole where it is whole."""
    seconds = duration.total_seconds()
    return int(seconds) if seconds.is_integer() else seconds
