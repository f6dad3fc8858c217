"""`usher schema`: the JSON Schema of hooks.yaml or fleet.yaml, for editors and validators."""

from __future__ import annotations

from typing import Final

import click

_EXAMPLES: Final = """
\b
Examples:
  usher schema > hooks.schema.json
  usher schema --fleet > fleet.schema.json
  check-jsonschema --schemafile hooks.schema.json hooks.yaml

\b
An editor with a YAML language server uses it if hooks.yaml starts with this line:
  # yaml-language-server: $schema=hooks.schema.json
"""


@click.command(epilog=_EXAMPLES)
@click.option("--fleet", is_flag=True, help="Of fleet.yaml, the file of --fleet.")
def schema(*, fleet: bool) -> None:
    """Print the JSON Schema of a hooks file.

    It covers keys, types, words and patterns. Only `usher check` covers the lengths of durations, and
    whether a policy exists.
    """
    from usher_hooksfile.schema import written  # noqa: PLC0415 - the help needs no parser

    if fleet:
        from usher_cli.fleet.file import schema as of_fleet  # noqa: PLC0415 - it needs the extra [aws]

        click.echo(written(of_fleet()), nl=False)
        return
    click.echo(written(), nl=False)
