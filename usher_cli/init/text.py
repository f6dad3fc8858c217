"""A draft as the text of a hooks file: `##` says something, `#` takes a hook or policy out of force."""

from __future__ import annotations

import re
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Final

import yaml

from usher.core import duration
from usher.core.action import Transition
from usher_cli.init.draft import Verdict
from usher_cli.printable import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from usher_cli.init.draft import Draft, Drafted, Entry, Standing
    from usher_cli.init.groups import Group

_WIDTH: Final = 100
_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
_NOT_PLAIN: Final = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}  # to some reader of YAML
_TARGET: Final = re.compile(
    r"arn:[^:]*:(?P<service>[^:]*):[^:]*:(?P<account>[^:]*):(?:function:)?(?P<name>.+)"
)
_KINDS: Final = {"sqs": "SQS queue", "sns": "SNS topic", "lambda": "Lambda function"}


_HOW_TO_READ: Final = (
    "As it stands this file changes nothing: each hook in force stands already exactly so, and its policy "
    "only observes. A line that begins with one # is not in force: take the # away from a hook, and from its "
    "policy, to have the hook put. Take `mode: observe` away to have Usher answer. Every policy is a guess: "
    "read it first. Then run `usher check`, and `usher plan`."
)
_TOO_MANY: Final = (
    "hooks that could be taken over are not in force, as no file holds so many groups by their names: choose "
    "groups by a glob or a tag that they share."
)


def written(draft: Draft) -> str:
    """The file."""
    lines = [*_head(draft), "", "version: 1", "", *_policies(draft), "", *_hooks(draft)]
    return "\n".join(lines) + "\n"


def _head(draft: Draft) -> Iterator[str]:
    places = sorted({f"account {each.group.account} in {each.group.region}" for each in draft.groups})
    yield from _said(
        "", f"Drafted by `usher init` from {' and '.join(places) or 'an account without groups'}."
    )
    for paragraph in (_HOW_TO_READ, _in_all(draft)):
        yield "##"
        yield from _said("", paragraph)
    if draft.too_many:
        yield from _said("", f"{draft.too_many} {_TOO_MANY}")


def _in_all(draft: Draft) -> str:
    hooks = ", ".join(f"{draft.count(verdict)} to {words}" for verdict, words in _WORDS.items())
    launch, terminate = (sum(each in one.without for one in draft.groups) for each in Transition)
    return (
        f"Groups: {len(draft.groups)}. Hooks that stand: {hooks}. "
        f"Groups that launch without any hook: {launch}; that terminate without any: {terminate}."
    )


_WORDS: Final[Mapping[Verdict, str]] = {
    Verdict.TAKE_OVER: "take over",
    Verdict.LEAVE_ALONE: "leave alone",
    Verdict.CONFLICT: "settle by hand",
    Verdict.OURS: "keep as Usher's own",
}


def _policies(draft: Draft) -> Iterator[str]:
    because = {entry.hook["policy"]: entry.because for each in draft.groups for entry in each.entries}
    yield _key("policies", "{}", any(map(draft.is_used, because)), because)
    for name, policy in draft.policies.items():
        lines = [f"{name}:", *(f"  {line}" for line in _members(policy))]
        yield from _said("  ", because[name])
        yield from _unless(draft.is_used(name), lines)


def _hooks(draft: Draft) -> Iterator[str]:
    entries = [entry for drafted in draft.groups for entry in drafted.entries]
    yield _key("hooks", "[]", draft.active, entries)
    for drafted in draft.groups:
        yield ""
        yield from _said("  ", _of_group(drafted))
        for each in drafted.standing:
            yield from _said("  ", _of_standing(drafted.group, each))
        for entry in drafted.entries:
            yield from _entry(entry)


def _key(key: str, empty: str, in_force: object, entries: object) -> str:
    """The key, as it must be written where nothing of its entries is in force."""
    if in_force:
        return f"{key}:"
    return f"{key}: {empty}" + (f"  ## without the {empty} once one is in force" if entries else "")


def _of_group(drafted: Drafted) -> str:
    group = drafted.group
    words = []
    if drafted.without:
        words.append(f"{' and '.join(_VERBS[each] for each in drafted.without)} without any hook")
    if group.stack:
        words.append(f"made by the CloudFormation stack {scalar(group.stack)}, whose template may hold hooks")
    if drafted.obstacle:
        words.append(f"no hook of it can be in this file: {drafted.obstacle}")
    return f"Group {scalar(group.name)}: {'; '.join(words) or 'each transition has a hook'}."


_VERBS: Final = {Transition.LAUNCHING: "launches", Transition.TERMINATING: "terminates"}


def _of_standing(group: Group, each: Standing) -> str:
    settings = each.hook.settings
    timeout = duration.written(settings.heartbeat_timeout)
    what = f"{settings.transition or 'of another transition'}, {timeout}, then {settings.default_result}"
    whom = notified(group, settings.target_arn)
    return f"Hook {scalar(each.hook.name)}: {what}; {whom}. {each.verdict.capitalize()}: {each.reason}."


def notified(group: Group, target: str | None) -> str:
    """Whom a hook notifies: as far as that tells, who put it."""
    if target is None:
        return "notifies nobody"
    found = _TARGET.fullmatch(target)
    if found is None or found["service"] not in _KINDS:
        return f"notifies {scalar(target)}"
    account = "" if found["account"] == group.account else f" of account {scalar(found['account'])}"
    return f"notifies the {_KINDS[found['service']]} {scalar(found['name'])}{account}"


def _entry(entry: Entry) -> Iterator[str]:
    first, *others = _members(entry.hook)
    return _unless(entry.is_active, [f"- {first}", *(f"  {line}" for line in others)])


def _unless(is_active: bool, lines: Iterable[str]) -> Iterator[str]:
    """In force, or as a comment."""
    return (f"  {'' if is_active else '# '}{line}" for line in lines)


def _said(indent: str, text: str) -> Iterator[str]:
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
    """A text in YAML, in one line of printable ASCII; quoted where some reader takes it for another thing."""
    if _PLAIN.fullmatch(text) and text.lower() not in _NOT_PLAIN:
        return text
    if re.fullmatch(r"[0-9]+[hms]([0-9]+[ms])*", text):  # a duration
        return text
    return str(yaml.dump(text, default_style='"', width=float("inf"), allow_unicode=False)).rstrip("\n")
