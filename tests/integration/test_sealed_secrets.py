"""What leaves a hub of a secret over NATS where who asks must be proven: sealed, or over TLS, or as it was set."""

from __future__ import annotations

import base64
import json
import ssl
from pathlib import Path
from typing import Any

import pytest

from hub.vault.transit import Recipient
from tests.access import declare, let_in, person
from tests.calls import call, refusal
from tests.certificates.making import Ca
from tests.hubs import HubProcess
from tests.keys import fresh_key

ADA = person("operator", "ada")
ENGINE = person("service", "engine")


@pytest.mark.parametrize("way", ["bare", "tls", "plaintext"])
async def test_without_tls_a_secret_leaves_sealed_alone_unless_the_operator_wants_it_otherwise(
    tmp_path: Path, way: str
) -> None:
    ca = Ca(tmp_path / "ca")
    files = ca.issue("nats")
    of_the_way = {
        "bare": {},
        "tls": {"HUB_NATS_LISTEN_CERT": files.cert, "HUB_NATS_LISTEN_KEY": files.key, "NATS_CA": ca.file},
        "plaintext": {"HUB_SECRETS_PLAINTEXT": "true"},
    }
    declared = declare(tmp_path / "access.toml", ADA, ENGINE)
    variables = {"HUB_ACCESS_FILE": str(declared), "HUB_SECRETS_KEY": fresh_key(), **of_the_way[way]}
    options: dict[str, Any] = {"tls": ssl.create_default_context(cafile=ca.file)} if way == "tls" else {}
    question = {"service": "engine", "names": ["db"]}
    with HubProcess(tmp_path / "hub", arguments=("--secure",), variables=variables) as hub:
        async with let_in(hub.nats_url, ADA, **options) as ada, let_in(hub.nats_url, ENGINE, **options) as engine:
            await call(ada.client, "hub.secret.put", {"name": "db", "value": "planted", "readers": ["engine"]})
            if way == "bare":
                error = await refusal(engine.client, "hub.secret.resolve", question)
                assert (error["code"], error["field"]) == ("forbidden", "seal_to")
                assert "central-hub[secrets]" in error["message"]
            else:
                told = await call(engine.client, "hub.secret.resolve", question)
                assert told["secrets"]["db"]["value"] == "planted"
            public = base64.b64encode(Recipient().public).decode()
            told = await call(engine.client, "hub.secret.resolve", {**question, "seal_to": public})
            assert told["secrets"] == {}
            assert "planted" not in json.dumps(told)
            assert told["sealed"]["ciphertext"]
