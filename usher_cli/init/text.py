"""A draft as text: lines with `##` explain, lines with a single `#` are inactive hooks and policies."""

from __future__ import annotations

import re
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Final

import yaml

from usher.core import duration
from usher.core.action import Transition
from usher_cli.init.draft import Verdict
from usher_cli.plan.steps import TAG
from usher_cli.printable import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from usher_cli.init.draft import Draft, Entry, ExistingHook, GroupDraft
    from usher_cli.init.groups import Group

_WIDTH: Final = 100
_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
_NOT_PLAIN: Final = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}  # in some version of YAML
_TARGET: Final = re.compile(
    r"arn:[^:]*:(?P<service>[^:]*):[^:]*:(?P<account>[^:]*):(?:function:)?(?P<name>.+)"
)
_KINDS: Final = {"sqs": "SQS queue", "sns": "SNS topic", "lambda": "Lambda function"}

_INTRODUCTION: Final = (
    "Deploying this file unchanged has no effect: each active hook already exists with exactly the same "
    "settings, and its policy only observes. Lines that start with a single # are inactive. Remove the # "
    "from a hook and its policy to have Usher put the hook. Remove `mode: observe` to have Usher send "
    "heartbeats and results. Every policy is a guess: review it. Then run "
    "`usher check` and `usher plan` with the file."
)
_UNTAGGED: Final = (
    f"Groups without the tag {TAG}, on which an installed Usher may put no hook until they have it"
)
_MOST_NAMED: Final = 5
_TOO_MANY: Final = (
    "more hooks could be taken over, but are inactive: one file cannot name so many groups. Select groups by "
    "a glob or a shared tag."
)


def written(draft: Draft) -> str:
    """The file."""
    lines = [*_head(draft), "", "version: 1", "", *_policies(draft), "", *_hooks(draft)]
    return "\n".join(lines) + "\n"


def _head(draft: Draft) -> Iterator[str]:
    places = sorted({f"account {each.group.account} in {each.group.region}" for each in draft.groups})
    where = " and ".join(places) or "an account in which no such group was found"
    yield from _comment("", f"Drafted by `usher init` from {where}.")
    for paragraph in (_INTRODUCTION, _summary(draft), *_untagged(draft)):
        yield "##"
        yield from _comment("", paragraph)
    if draft.too_many:
        yield from _comment("", f"{draft.too_many} {_TOO_MANY}")


def _summary(draft: Draft) -> str:
    hooks = ", ".join(f"{draft.count(verdict)} {words}" for verdict, words in _COUNTED.items())
    launch, terminate = (sum(each in one.without for one in draft.groups) for each in Transition)
    return (
        f"Groups: {len(draft.groups)}. Existing hooks: {hooks}. "
        f"Groups that launch without a hook: {launch}; that terminate without a hook: {terminate}."
    )


def _untagged(draft: Draft) -> Iterator[str]:
    """At most one paragraph."""
    lacking = [
        scalar(each.group.name)
        for each in draft.groups
        if each.excluded is None and TAG not in dict(each.group.seen.tags)
    ]
    if lacking:
        more = len(lacking) - _MOST_NAMED
        others = f" and {more} more" if more > 0 else ""
        yield f"{_UNTAGGED}: {', '.join(lacking[:_MOST_NAMED])}{others}."


_COUNTED: Final[Mapping[Verdict, str]] = {
    Verdict.TAKE_OVER: "to take over",
    Verdict.LEAVE_ALONE: "to leave alone",
    Verdict.CONFLICT: "in conflict",
    Verdict.OURS: "of Usher",
}


def _policies(draft: Draft) -> Iterator[str]:
    because = {entry.hook["policy"]: entry.because for each in draft.groups for entry in each.entries}
    yield _key("policies", "{}", any(map(draft.is_used, because)), because)
    for name, policy in draft.policies.items():
        lines = [f"{name}:", *(f"  {line}" for line in _members(policy))]
        yield from _comment("  ", f"Guess: {because[name]}.")
        yield from _lines(draft.is_used(name), lines)


def _hooks(draft: Draft) -> Iterator[str]:
    entries = [entry for drafted in draft.groups for entry in drafted.entries]
    yield _key("hooks", "[]", draft.active, entries)
    for drafted in draft.groups:
        yield ""
        yield from _comment("  ", _of_group(drafted))
        for each in drafted.existing:
            yield from _comment("  ", _of_existing(drafted.group, each))
        for entry in drafted.entries:
            yield from _entry(entry)


def _key(key: str, empty: str, active: object, entries: object) -> str:
    """The key, with an empty value if no entry is active."""
    if active:
        return f"{key}:"
    return f"{key}: {empty}" + (f"  ## remove the {empty} when you activate one" if entries else "")


def _of_group(drafted: GroupDraft) -> str:
    group = drafted.group
    words = []
    if drafted.without:
        words.append(f"{' and '.join(_VERBS[each] for each in drafted.without)} without a hook")
    if group.stack:
        words.append(
            f"created by the CloudFormation stack {scalar(group.stack)}, whose template may contain hooks"
        )
    if drafted.excluded:
        words.append(f"not in this file: {drafted.excluded}")
    return f"Group {scalar(group.name)}: {'; '.join(words) or 'both transitions have hooks'}."


_VERBS: Final = {Transition.LAUNCHING: "launches", Transition.TERMINATING: "terminates"}


def _of_existing(group: Group, each: ExistingHook) -> str:
    settings = each.hook.settings
    timeout = duration.written(settings.heartbeat_timeout)
    what = f"{settings.transition or 'another transition'}, {timeout}, default {settings.default_result}"
    target = target_of(group, settings.target_arn)
    return f"Hook {scalar(each.hook.name)}: {what}; {target}. {each.verdict.capitalize()}: {each.reason}."


def target_of(group: Group, target: str | None) -> str:
    """The target of a hook: it may show who put the hook."""
    if target is None:
        return "no target"
    found = _TARGET.fullmatch(target)
    if found is None or found["service"] not in _KINDS:
        return f"notifies {scalar(target)}"
    account = "" if found["account"] == group.account else f" of account {scalar(found['account'])}"
    return f"notifies the {_KINDS[found['service']]} {scalar(found['name'])}{account}"


def _entry(entry: Entry) -> Iterator[str]:
    first, *others = _members(entry.hook)
    return _lines(entry.is_active, [f"- {first}", *(f"  {line}" for line in others)])


def _lines(is_active: bool, lines: Iterable[str]) -> Iterator[str]:
    """The lines, as a comment unless they are active."""
    return (f"  {'' if is_active else '# '}{line}" for line in lines)


def _comment(indent: str, text: str) -> Iterator[str]:
    lines = wrap(shown(text), _WIDTH, break_long_words=False, break_on_hyphens=False)
    return (f"{indent}## {line}" for line in lines)


def _members(data: Mapping[str, Any]) -> list[str]:
    return [f"{key}: {_flow(value)}" for key, value in data.items()]


def _flow(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(_members(value)) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return scalar(str(value))


def scalar(text: str) -> str:
    """A text in YAML, in one line of printable ASCII, and quoted if it could be read as something else."""
    if _PLAIN.fullmatch(text) and text.lower() not in _NOT_PLAIN:
        return text
    if re.fullmatch(r"[0-9]+[hms]([0-9]+[ms])*", text):  # a duration
        return text
    return str(yaml.dump(text, default_style='"', width=float("inf"), allow_unicode=False)).rstrip("\n")
