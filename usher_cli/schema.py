"""`usher schema`: the JSON Schema of hooks.yaml, for editors and validators."""

from __future__ import annotations

from typing import Final

import click

_EXAMPLES: Final = """
\b
Examples:
  usher schema > hooks.schema.json
  check-jsonschema --schemafile hooks.schema.json hooks.yaml

\b
An editor with a YAML language server uses it if hooks.yaml starts with this line:
  # yaml-language-server: $schema=hooks.schema.json
"""


@click.command(epilog=_EXAMPLES)
def schema() -> None:
    """Print the JSON Schema of a hooks file.

    It covers keys, types, words and patterns. Only `usher check` covers the lengths of durations, and
    whether a policy exists.
    """
    from usher_hooksfile.schema import written  # noqa: PLC0415 - the help needs no parser

    click.echo(written(), nl=False)
