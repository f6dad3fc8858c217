"""The one parser of `hooks.yaml`: plain data in, a sound Configuration out, or every problem at once."""

from __future__ import annotations

import json
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Final

from usher.core.configuration.conflicts import refuse_shared_names, refuse_too_many_hooks
from usher.core.configuration.hooks import HOOK, hook_from
from usher.core.field import ConfigurationRefused, Field, Problem, Refused, as_json, attempt
from usher.core.policies import POLICIES, policies_from
from usher.core.policy import Configuration
from usher.core.shape import Constant, Keys, ListOf

if TYPE_CHECKING:
    from usher.core.configuration.rules import Policies
    from usher.core.policy import Hook

VERSION: Final = 1
_VERSION: Final = Constant(VERSION)
_HOOKS: Final = ListOf(HOOK)
FILE: Final = Keys(
    {"version": _VERSION, "policies": POLICIES, "hooks": _HOOKS}, required=("version", "policies", "hooks")
)


def parse(data: object) -> Configuration:
    """The configuration that `data` (from YAML or JSON) describes, or ConfigurationRefused."""
    problems: list[Problem] = []
    try:
        configuration = _file(Field(path=(), value=data, problems=problems))
    except Refused:
        raise ConfigurationRefused(problems) from None
    if problems:
        raise ConfigurationRefused(problems)
    return configuration


def source_of(hook: Hook) -> str:
    """A hooks file, as JSON, that has this hook only, and the policies that it uses."""
    policies = {rule.use.name: json.loads(rule.use.source) for rule in hook.rules}
    return as_json({"version": VERSION, "policies": policies, "hooks": [json.loads(hook.source)]})


@lru_cache(maxsize=1024)
def parse_source(source: str) -> Hook:
    """The hook that `source_of` wrote, here or in another release. Raises ConfigurationRefused."""
    (hook,) = parse(json.loads(source)).hooks
    return hook


def _file(field: Field) -> Configuration:
    parts = FILE.members(field)
    attempt(_VERSION.read, parts.get("version"), None)
    policies = attempt(policies_from, parts.get("policies"), None)
    hooks = attempt(partial(_hooks, policies), parts.get("hooks"), ())
    sound_policies = {name: policy for name, policy in (policies or {}).items() if policy is not None}
    return Configuration(policies=sound_policies, hooks=hooks)


def _hooks(policies: Policies, field: Field) -> tuple[Hook, ...]:
    attempted = [
        (attempt(partial(hook_from, policies), member, None), member) for member in _HOOKS.elements(field)
    ]
    hooks = [(hook, member) for hook, member in attempted if hook is not None]
    refuse_shared_names(hooks)
    refuse_too_many_hooks(hooks)
    return tuple(hook for hook, _ in hooks)
