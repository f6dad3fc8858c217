"""Writes plain data as a hooks file that reads as the same."""

from __future__ import annotations

from typing import Final

import yaml

from usher_hooksfile.load import SCALARS

_ENDS_OF_LINES: Final = frozenset("\r\x85\u2028\u2029\ufeff")


class _Dumper(yaml.SafeDumper):
    """Quotes what either YAML takes for no text: 1.1, as PyYAML has it, or 1.2, by which files are read."""

    def represent_text(self, text: str) -> yaml.Node:
        """In double quotes where a reader would take a character for the end of a line."""
        style = '"' if _ENDS_OF_LINES.intersection(text) else None
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _Dumper.represent_text)
for _tag, (_pattern, _) in SCALARS.items():
    if _tag != "tag:yaml.org,2002:str":
        _Dumper.add_implicit_resolver(_tag, _pattern, None)


def as_yaml(data: object) -> str:
    """The text of a hooks file."""
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    return text
