from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import a_policy
from usher.core.action import Result, Transition
from usher.core.globs import glob_fits, globs_meet
from usher.core.limits import Limits
from usher.core.policy import Channel, Configuration, GroupSelector, Hook, Move, Rule, candidates

GLOBS = st.text("ab*", max_size=6)
NAMES = st.text("ab", max_size=8)
EVERY_SHORT_NAME = ["".join(letters) for length in range(8) for letters in product("ab", repeat=length)]


def rule(use: str, **when: str) -> Rule:
    return Rule(when=tuple(when.items()), use=a_policy((), name=use))


def hook(name: str, *rules: Rule, glob: str | None = None, tags: tuple[tuple[str, str], ...] = ()) -> Hook:
    return Hook(
        name=name,
        group=GroupSelector(glob=glob, tags=tags),
        transition=Transition.TERMINATING,
        heartbeat_timeout=timedelta(minutes=5),
        default_result=Result.ABANDON,
        notify=Channel.SQS,
        metadata=None,
        limits=Limits(),
        rules=rules or (rule("only"),),
    )


def move(
    group: str = "workers-1",
    transition: Transition = Transition.TERMINATING,
    origin: str | None = "AutoScalingGroup",
    destination: str | None = "EC2",
    after: str | None = None,
) -> Move:
    return Move(group=group, transition=transition, origin=origin, destination=destination, after=after)


def told(metadata: str | None) -> Move:
    return replace(move(), metadata=metadata)


RULES = (
    rule("failed", after="launch_failed"),
    rule("both", origin="WarmPool", destination="AutoScalingGroup"),
    rule("pool", destination="WarmPool"),
    rule("batch", group="batch-*"),
    rule("launch", transition="launching"),
    rule("rest"),
)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param(move(), "rest", id="no rule but the last"),
        pytest.param(move(destination="WarmPool"), "pool", id="by destination"),
        pytest.param(move(origin="WarmPool"), "rest", id="half of a `when` is not enough"),
        pytest.param(move(origin="WarmPool", destination="AutoScalingGroup"), "both", id="all of a `when`"),
        pytest.param(move(group="batch-7"), "batch", id="by a glob of groups"),
        pytest.param(move(group="a-batch-7"), "rest", id="the glob is for the whole name"),
        pytest.param(move(group="batch-7", destination="WarmPool"), "pool", id="the first of two that fit"),
        pytest.param(move(transition=Transition.LAUNCHING), "launch", id="by transition"),
        pytest.param(move(after="launch_failed", destination="WarmPool"), "failed", id="by what was before"),
        pytest.param(
            move(after="launch_failed", transition=Transition.LAUNCHING),
            "launch",
            id="a launch follows no failed launch: another hook has abandoned this one",
        ),
        pytest.param(move(origin=None, destination=None), "rest", id="places untold fit no rule for places"),
    ],
)
def test_the_first_rule_that_fits_names_the_policy(asked: Move, expected: str) -> None:
    assert hook("drain", *RULES).policy_for(asked).name == expected


def test_where_no_rule_is_for_certain_all_are_candidates_and_an_only_policy_is_chosen_at_once() -> None:
    """The parser wants a last rule that fits any; records may have others."""
    rules = (rule("large", instance_type="m*"), rule("large", instance_type="c*"))
    assert candidates(rules, move()) == rules
    assert hook("in", *rules).policy_for(move()).name == "large"


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        pytest.param("owner=web", "text", id="the whole text"),
        pytest.param("owner=web ", "rest", id="not a part of the text"),
        pytest.param(None, "rest", id="no metadata"),
        pytest.param('{"role": "db"}', "db", id="a key"),
        pytest.param('{"role": "db", "zone": "Z1"}', "both", id="each key that is asked for"),
        pytest.param('{"role": "worker"}', "rest", id="another value"),
        pytest.param('{"roles": "db"}', "rest", id="another key"),
        pytest.param('{"role": ["db"]}', "rest", id="a list with the value"),
        pytest.param('["role", "db"]', "rest", id="no object"),
        pytest.param("{'role': 'db'}", "rest", id="no JSON"),
        pytest.param('{"count": 3}', "number", id="a number"),
        pytest.param('{"count": "3"}', "number", id="a number that is written as text"),
        pytest.param('{"count": 3.0}', "rest", id="a number that is written otherwise"),
        pytest.param('{"count": true}', "boolean", id="a boolean"),
        pytest.param('{"count": null}', "rest", id="nothing"),
    ],
)
def test_a_rule_asks_for_the_text_of_the_metadata_or_for_keys_in_it(
    metadata: str | None, expected: str
) -> None:
    rules = (
        rule("text", metadata="owner=web"),
        rule("both", **{"metadata.role": "db", "metadata.zone": "Z1"}),
        rule("db", **{"metadata.role": "db"}),
        rule("number", **{"metadata.count": "3"}),
        rule("boolean", **{"metadata.count": "true"}),
        rule("rest"),
    )
    assert hook("drain", *rules).policy_for(told(metadata)).name == expected


@given(metadata=st.text() | st.recursive(st.none() | st.text(), st.lists, max_leaves=3).map(json.dumps))
def test_metadata_of_any_kind_fit_no_key_that_they_do_not_have(metadata: str) -> None:
    rules = (rule("key", **{"metadata.role": "db"}), rule("rest"))
    assert hook("drain", *rules).policy_for(told(metadata)).name == "rest"


WEB = (("team", "web"),)
HOOKS = (
    hook("tagged", tags=WEB),
    hook("drain", tags=WEB),
    hook("drain", glob="workers-*"),
    hook("drain", glob="api"),
    hook("boot", glob="web*blue"),
    hook("boot", glob="api"),
)


@pytest.mark.parametrize(
    ("name", "group", "expected"),
    [
        pytest.param("boot", "api", 5, id="by name"),
        pytest.param("boot", "web-eu-blue", 4, id="by glob"),
        pytest.param("boot", "webblue", 4, id="the star of a glob may be nothing"),
        pytest.param("boot", "web-eu-red", None, id="no group of this hook"),
        pytest.param("stop", "api", None, id="no hook of this name"),
        pytest.param("tagged", "anything", 0, id="tags are not known: by name alone"),
        pytest.param("drain", "workers-7", 2, id="a glob goes before tags that stand first"),
        pytest.param("drain", "api", 3, id="a name goes before tags that stand first"),
        pytest.param("drain", "elsewhere", 1, id="tags where nothing names the group"),
        pytest.param("Boot", "api", None, id="names are exact"),
    ],
)
def test_a_hook_is_found_by_its_name_and_group(name: str, group: str, expected: int | None) -> None:
    configuration = Configuration(policies={}, hooks=HOOKS)

    found = configuration.hook(name, group, Transition.TERMINATING)
    assert found is (None if expected is None else HOOKS[expected])
    assert configuration.hook(name, group, Transition.LAUNCHING) is None


@pytest.mark.parametrize(
    ("hooks", "named", "may_be_named"),
    [
        pytest.param((hook("a", glob="api"),), True, True, id="a name"),
        pytest.param((hook("a", glob="a*"),), True, True, id="a glob"),
        pytest.param((hook("a", glob="web"),), False, False, id="another name"),
        pytest.param((hook("a", tags=WEB),), False, True, id="tags"),
        pytest.param((hook("a", tags=WEB), hook("a", glob="api")), True, True, id="a name beside tags"),
        pytest.param((), False, False, id="no hooks"),
    ],
)
def test_a_configuration_knows_the_groups_that_it_names(
    hooks: tuple[Hook, ...], named: bool, may_be_named: bool
) -> None:
    configuration = Configuration(policies={}, hooks=hooks)

    assert (configuration.names_group("api"), configuration.may_name_group("api")) == (named, may_be_named)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        pytest.param(GroupSelector(glob="a-*"), GroupSelector(glob="*-b"), True, id="globs that meet"),
        pytest.param(GroupSelector(glob="a-*"), GroupSelector(glob="b-*"), False, id="globs apart"),
        pytest.param(GroupSelector(glob="a"), GroupSelector(glob=None, tags=WEB), True, id="a name and tags"),
        pytest.param(
            GroupSelector(glob=None, tags=WEB),
            GroupSelector(glob=None, tags=(("env", "prod"),)),
            True,
            id="tags of two keys",
        ),
        pytest.param(
            GroupSelector(glob=None, tags=WEB),
            GroupSelector(glob=None, tags=(("env", "prod"), ("team", "api"))),
            False,
            id="tags that contradict",
        ),
    ],
)
def test_two_selectors_may_share_a_group_unless_they_contradict(
    one: GroupSelector, other: GroupSelector, expected: bool
) -> None:
    assert (one.may_share(other), other.may_share(one)) == (expected, expected)


@given(GLOBS, NAMES)
def test_a_glob_fits_as_the_pattern_that_it_stands_for(glob: str, name: str) -> None:
    pattern = ".*".join(map(re.escape, glob.split("*")))

    assert glob_fits(glob, name) == (re.fullmatch(pattern, name) is not None)


@pytest.mark.parametrize(
    ("glob", "text", "expected"),
    [
        pytest.param("aba*", "ab", False, id="longer than the text"),
        pytest.param("ab*ba", "aba", False, id="beginning and end do not overlap"),
        pytest.param("a.c", "abc", False, id="a dot is a dot"),
        pytest.param("a?[b]", "a?[b]", True, id="so are the signs of other globs"),
        pytest.param("a*c", "a\nc", True, id="a star takes in line breaks"),
        pytest.param("*", "", True, id="a star takes in nothing"),
        pytest.param("*a" * 100 + "b", "a" * 254, False, id="many stars cost no more than one pass"),
    ],
)
def test_a_star_is_any_run_of_characters_and_all_else_itself(glob: str, text: str, expected: bool) -> None:
    assert glob_fits(glob, text) is expected


@given(GLOBS, GLOBS)
def test_meeting_is_symmetric(left: str, right: str) -> None:
    assert globs_meet(left, right) == globs_meet(right, left)


@given(st.text("ab*", max_size=3), st.text("ab*", max_size=3))
def test_globs_meet_exactly_where_some_text_fits_both(left: str, right: str) -> None:
    assert globs_meet(left, right) == any(
        glob_fits(left, name) and glob_fits(right, name) for name in EVERY_SHORT_NAME
    )


@st.composite
def globs_of(draw: st.DrawFn, name: str) -> str:
    """A glob that fits `name`: some of its runs are left to stars."""
    cuts = sorted(draw(st.lists(st.integers(0, len(name)), max_size=6)))
    glob, at = "", 0
    for start, end in zip(cuts[::2], cuts[1::2], strict=False):
        glob, at = f"{glob}{name[at:start]}*", end
    return glob + name[at:]


@given(st.data(), st.text(st.characters(exclude_characters="*"), max_size=20))
def test_globs_that_fit_one_text_meet(data: st.DataObject, name: str) -> None:
    left, right = data.draw(globs_of(name)), data.draw(globs_of(name))

    assert glob_fits(left, name)
    assert glob_fits(right, name)
    assert globs_meet(left, right)


@given(GLOBS, NAMES)
def test_a_glob_meets_a_name_exactly_where_it_fits(glob: str, name: str) -> None:
    assert globs_meet(glob, name) == globs_meet(name, glob) == glob_fits(glob, name)


def test_globs_of_the_longest_names_meet() -> None:
    assert globs_meet("a" * 254 + "*", "*" + "a" * 254)
    assert not globs_meet("a" * 254 + "*", "b*" + "a" * 253)
