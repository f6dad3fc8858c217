"""Under which terms an action begins: the file's, or those that the item of its hook keeps."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.factories import at
from usher.core import configuration
from usher.core.action import Result, Transition
from usher.core.hook_items import Enrolled, HookSettings, HookState
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


@pytest.mark.parametrize(
    ("changes", "let_through_from"),
    [
        pytest.param({"is_out_of_file": True}, None, id="the file had lost it"),
        pytest.param({}, at(60), id="the group has lost the tag, or an older release did not say"),
        pytest.param(
            {"is_out_of_file": True, "deleting_at": at(90)}, at(60), id="it may be deleted any moment"
        ),
    ],
)
def test_a_hook_by_tags_that_the_file_has_again_holds_before_the_enrolment_has_taken_it_back(
    changes: dict[str, Any], let_through_from: datetime | None
) -> None:
    """Seed 5448: with a small call budget new instances were let through for half an hour more."""
    source = ITEM.source.replace('"group":"web"', '"group":{"tags":{"team":"web"}}')
    times: dict[str, Any] = {"retiring_since": at(0), "let_through_from": at(60), **changes}
    retiring = replace(ITEM, source=source, state=HookState.RETIRING, **times)
    hook = {"name": "drain", "group": {"tags": {"team": "web"}}, "transition": "terminating"}
    policies = {"long": {"until": [{"elapsed": "1h"}]}}
    again = configuration.parse({"version": 1, "policies": policies, "hooks": [{**hook, "policy": "long"}]})
    (terms,) = terms_on(again, [retiring], "web")
    assert terms.let_through_from == let_through_from
    assert (terms.hook == again.hooks[0]) == (let_through_from is None)
    (gone,) = [each for each in terms_on(FILE, [retiring], "web") if each.hook.name == "drain"]
    assert gone.let_through_from == at(60)
