from __future__ import annotations

import click

from hub.cli import output
from hub.cli.config import rendering
from hub.cli.config.arguments import scope
from hub.cli.config.asking import ask
from hub.cli.config.documents import read
from hub.cli.options import connection, json_output
from hub.errors import InvalidConfig
from hub.wire import subjects
from hub.wire.config import (
    ConfigVerdict,
    ValidateConfig,
)


@click.command()
@scope
@click.argument("file")
@json_output("the verdict as JSON, in the shape of the reply to hub.config.validate")
@connection()
def validate(urls: list[str], timeout: float, as_json: bool, service: str, file: str) -> None:
    """Check whether the values in FILE could be put for SERVICE; every place that is wrong is shown. Nothing is stored.

    FILE is JSON, or TOML where its name ends so; - is stdin. Where something is wrong the exit code is 1.
    """
    question = ValidateConfig(service=service, values=read(file))
    verdict = ask(urls, timeout, subjects.CONFIG_VALIDATE, question, ConfigVerdict)
    if as_json:
        output.print_json(verdict)
    elif verdict.violations:
        output.print_table(rendering.VIOLATIONS, rendering.violations(verdict.violations))
    if not verdict.valid:
        number = len(verdict.violations)
        raise InvalidConfig(f"{file}: {number} place{'' if number == 1 else 's'} would not be valid for {service}")
    if not as_json:
        output.print_line([f"{file} is valid for {service}"])
