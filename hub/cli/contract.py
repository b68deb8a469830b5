from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from hub.errors import HubError


class ContractDrift(HubError):
    """The rendered contract is not what the code says."""

    code = "contract_drift"


@click.command()
@click.option("--write", "action", flag_value="write", help="Render the contract into subjects/ and schemas/.")
@click.option("--check", "action", flag_value="check", help="Compare what is there with the code; exit 1 on drift.")
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(),
    show_default="the current folder",
    help="The project's folder, which holds subjects/ and schemas/.",
)
def contract(action: Literal["write", "check"] | None, root: Path) -> None:
    """Write or check the rendered contract: AsyncAPI in subjects/, JSON Schemas in schemas/.

    The truth is the code (hub/wire); these files tell it to other languages.
    """
    if action is None:
        raise click.UsageError("Say --write or --check.")
    from hub.contract import check, write

    if action == "write":
        write(root)
        click.echo(f"wrote the contract below {root.resolve()}")
        return
    drifted = check(root)
    if drifted:
        raise ContractDrift(f"the contract differs from the code in {', '.join(drifted)}. Run `hub contract --write`")
    click.echo("the contract is what the code says")
