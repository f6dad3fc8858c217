"""Under which terms an action begins: the file's, or those that the item of its hook keeps."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from tests.factories import at
from usher.core import configuration
from usher.core.action import Result, Transition
from usher.core.hook_items import Enrolled, HookSettings
from usher.core.ownership import terms_on

FILE = configuration.parse(
    {
        "version": 1,
        "policies": {"p": {"until": []}},
        "hooks": [{"name": "gate", "group": "web", "transition": "launching", "policy": "p"}],
    }
)
ITEM = Enrolled(
    group="web",
    group_arn="arn:web",
    hook="drain",
    settings=HookSettings(
        transition=Transition.TERMINATING,
        heartbeat_timeout=timedelta(minutes=5),
        default_result=Result.CONTINUE,
    ),
    source='{"version":1,"policies":{"p":{"until":[]}},"hooks":'
    '[{"name":"drain","group":"web","transition":"terminating","policy":"p"}]}',
    put_at=at(0),
)


def test_on_a_group_the_hooks_of_the_file_are_ours_and_those_that_an_item_names() -> None:
    assert {each.hook.name for each in terms_on(FILE, [ITEM], "web")} == {"gate", "drain"}
    assert [each.hook.name for each in terms_on(FILE, [], "jobs")] == []


def test_an_item_of_a_transition_that_this_release_does_not_know_names_nothing_that_is_ours() -> None:
    unknown = replace(ITEM, settings=replace(ITEM.settings, transition=None))
    assert [each.hook.name for each in terms_on(FILE, [unknown], "web")] == ["gate"]
