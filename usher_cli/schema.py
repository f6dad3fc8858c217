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
An editor with a YAML language server reads it where hooks.yaml begins with this line:
  # yaml-language-server: $schema=hooks.schema.json
"""


@click.command(epilog=_EXAMPLES)
def schema() -> None:
    """Print the JSON Schema of a hooks file.

    It knows keys, types, words and patterns. How long a duration may be, and whether a policy is there,
    `usher check` knows alone.
    """
    from usher_hooksfile.schema import written  # noqa: PLC0415 - the help needs no parser

    click.echo(written(), nl=False)
