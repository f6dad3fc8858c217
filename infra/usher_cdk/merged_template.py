"""A template with an option under a condition: what the option changes becomes an Fn::If."""

from __future__ import annotations

from typing import Any, Final

Template = dict[str, Any]

NO_VALUE: Final = {"Ref": "AWS::NoValue"}


def merged(template: Template, without: Template, with_option: Template, condition: str) -> Template:
    """`template`, in which all that differs between the two others stands under `condition`.

    `template` is `without` with other options merged in: no two options change the same value.
    """
    made: Template = _merged(template, without, with_option, condition)
    for name, resource in with_option["Resources"].items():
        if name not in without["Resources"]:
            made["Resources"][name] = {**resource, "Condition": condition}
    return made


def ordered(resources: Template) -> None:
    """What depends on a resource under a condition: DependsOn takes no function, but Metadata does.

    A reference from there orders as DependsOn does: the resource is made before, and deleted after. That
    Fn::If may stand in Metadata is documented; that it orders is what users of CloudFormation report.
    """
    for each in resources.values():
        conditions = {name: resources[name].get("Condition") for name in each.get("DependsOn", ())}
        optional = [name for name, on in conditions.items() if on not in (None, each.get("Condition"))]
        if optional:
            each["DependsOn"] = [name for name in each["DependsOn"] if name not in optional]
            each.setdefault("Metadata", {})["DependsOn"] = [
                {"Fn::If": [conditions[name], {"Ref": name}, NO_VALUE]} for name in optional
            ]


def _merged(value: Any, without: Any, with_option: Any, condition: str) -> Any:  # noqa: ANN401 - of a template
    if without == with_option:
        return value
    match without, with_option:
        case dict(), dict() if _is_open(without) and _is_open(with_option):
            return _merged_dict(value, without, with_option, condition)
        case list(), list():
            return _merged_list(value, without, with_option, condition)
    return {"Fn::If": [condition, with_option, without]}


def _merged_dict(
    value: dict[str, Any], without: dict[str, Any], with_option: dict[str, Any], condition: str
) -> dict[str, Any]:
    made = dict(value)
    for key in {**without, **with_option}:
        absent: dict[str, Any] = (
            {} if key == "Properties" else NO_VALUE
        )  # no function may stand for all of them
        before, after = without.get(key, absent), with_option.get(key, absent)
        if key == "DependsOn":
            made[key] = sorted({*value.get(key, ()), *with_option.get(key, ())})
        elif key == "Resources":
            of_both = {name: after[name] for name in before}
            made[key] = _merged_dict(value[key], before, of_both, condition)
        elif before != after:
            made[key] = _merged(value.get(key, absent), before, after, condition)
    return made


def _merged_list(value: list[Any], without: list[Any], with_option: list[Any], condition: str) -> list[Any]:
    """The order of lists says nothing where options change them: statements, and ARNs of sources."""
    kept = [
        each if each in with_option or each not in without else _if_not(condition, each) for each in value
    ]
    return kept + [{"Fn::If": [condition, each, NO_VALUE]} for each in with_option if each not in without]


def _if_not(condition: str, each: Any) -> dict[str, Any]:  # noqa: ANN401 - as above
    return {"Fn::If": [condition, NO_VALUE, each]}


def _is_open(value: dict[str, Any]) -> bool:
    """Whether it may hold an Fn::If inside: a call of a function is one value."""
    return not any(key == "Ref" or key.startswith("Fn::") for key in value)
