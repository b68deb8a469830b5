from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from hub.errors import HubError

if TYPE_CHECKING:
    from hub.settings.access import Algorithm

PRIVATE = "token-key.pem"
SECRET = "token-secret"
PUBLIC = "jwks.json"


@click.command()
@click.option(
    "--alg",
    "algorithm",
    type=click.Choice(["EdDSA", "RS256", "HS256"]),
    default="EdDSA",
    show_default=True,
    help="How the key signs.",
)
@click.option(
    "--out",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("."),
    show_default=True,
    help="The folder that the files go to.",
)
def keygen(algorithm: Algorithm, folder: Path) -> None:
    """Make a key that signs tokens, and the JWKS to verify them with.

    token-key.pem signs, and belongs to who issues tokens; jwks.json is public, and what `jwks` of an issuer names. For
    HS256 there is one secret for both, token-secret, which secret_file names. Keys that are there are never replaced.
    """
    from hub.identity.signing import SigningKey

    key = SigningKey.fresh(algorithm)
    made = [(folder / (PRIVATE if key.jwk is not None else SECRET), key.content(), 0o600)]
    if key.jwk is not None:
        made.append((folder / PUBLIC, msgspec.json.encode({"keys": [key.jwk]}) + b"\n", 0o644))
    there = [str(path) for path, _, _ in made if path.exists()]
    if there:
        raise HubError(f"{', '.join(there)} would be replaced: name another folder with --out")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, content, mode in made:
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                file.write(content)
    except OSError as error:
        raise HubError(f"{folder}: cannot be written to ({error.strerror})") from None
    for path, _, _ in made:
        click.echo(path)
