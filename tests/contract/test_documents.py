"""What the READMEs of the contract say by hand is what the code does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from hub.core import graph_answers, observations
from hub.core.flags import Decision, Split
from hub.errors import BY_CODE, DeadlineExceeded, NoInstance
from hub.store import streams
from hub.wire import config, configstatus, fault, flags, secrets, subjects
from hub.wire.channels import CHANNELS
from hub.wire.graph import SERVICE_HEADER
from hub.wire.messages import SHAPES
from tests.contract.golden import ROOT

SUBJECTS = ROOT / "subjects" / "README.md"
SCHEMAS = ROOT / "schemas" / "README.md"
_MADE_BY_CLIENTS = {DeadlineExceeded.code, NoInstance.code}


@pytest.mark.parametrize("document", [SUBJECTS, SCHEMAS, ROOT / "CONTRIBUTING.md"], ids=lambda path: path.parent.name)
def test_every_link_leads_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#]+)\)", re.sub(r"```.*?```|`[^`]*\^[^`]*`", "", text, flags=re.DOTALL))
    assert links
    for link in links:
        assert link.startswith("https://") or (document.parent / link).exists(), link


def test_every_error_code_is_told_with_its_number_and_whether_to_retry() -> None:
    rows = re.findall(r"^\| `([a-z_]+)` \| (\d+) \| (yes|no) \|", SUBJECTS.read_text(encoding="utf-8"), re.MULTILINE)
    told = {code: (int(status), retry == "yes") for code, status, retry in rows}
    assert told == {code: (e.status, e.retryable) for code, e in BY_CODE.items() if code not in _MADE_BY_CLIENTS}


def test_the_tree_has_every_subject() -> None:
    tree = SUBJECTS.read_text(encoding="utf-8").split("```")[1]
    path: list[str] = []
    leaves: set[str] = set()
    for line in tree.strip().splitlines():
        found = re.match(r"^(?P<bars>[│├└─ ]*)(?P<node>\S+)(?P<told>\s+[→←])?", line)
        assert found, line
        depth = len(found["bars"]) // 4
        path = [*path[:depth], found["node"]]
        if found["told"]:
            leaves.add(".".join(path))
    assert leaves == {channel.address.replace("{", "<").replace("}", ">") for channel in CHANNELS}


@pytest.mark.parametrize(
    "name",
    [
        fault.CODE_HEADER,
        fault.TEXT_HEADER,
        subjects.REGISTRY_BUCKET,
        subjects.DESIRED_BUCKET,
        subjects.CONFIG_BUCKET,
        subjects.SECRETS_BUCKET,
        secrets.REFERENCE,
        f"for which `names`, at most {secrets.MAX_NAMES}",
        subjects.LEADER_BUCKET,
        subjects.EVENTS_STREAM,
        f"queue group `{subjects.QUEUE_GROUP}`",
    ],
)
def test_what_a_client_has_to_spell_is_told(name: str) -> None:
    assert name in SUBJECTS.read_text(encoding="utf-8")


def test_how_long_events_are_kept_is_told() -> None:
    assert streams.EVENTS.max_age == 7 * 86_400
    assert streams.EVENTS.max_bytes == 256 * 1024**2
    assert "for a week, at most 256 MiB" in SUBJECTS.read_text(encoding="utf-8")


def test_the_bounds_of_the_graph_are_told() -> None:
    text = " ".join(SUBJECTS.read_text(encoding="utf-8").split())
    for said in (
        f"within the last {observations.MEMORY / 60:g} minutes",
        f"At most {observations.PER_SOURCE} edges of one source are remembered, and {observations.MAX_EDGES:,} in all",
        f"a page of at most {graph_answers.MAX_SERVICES:,} services",
        f"names in the header `{SERVICE_HEADER}`",
    ):
        assert said in text, said


def test_what_configuration_has_room_for_is_told() -> None:
    text = " ".join(SUBJECTS.read_text(encoding="utf-8").split())
    for said in (
        f"`patch` take up to {config.MAX_CHANGES} changes",
        f"lists the newest {config.HISTORY} revisions of a scope",
        f"a key a scope, with the newest {config.HISTORY} changes of each",
        *(f"| `{layer}` |" for layer in get_args(config.Layer)),
        *(f"| `{verdict}` |" for verdict in get_args(configstatus.Verdict)),
    ):
        assert said in text, said


def test_the_points_of_a_split_are_told_with_examples() -> None:
    rows = re.findall(r"^\| `([^`]+)` \| `([^`]+)` \| (\d+) \|$", SCHEMAS.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) == 4
    for salt, key, point in rows:
        split = Split(salt, "by", {"on": (100, Decision("SPLIT"))})
        assert split.point({"by": key}) == int(point), key


def test_the_bounds_of_flags_are_told() -> None:
    text = " ".join(SCHEMAS.read_text(encoding="utf-8").split())
    said = (
        f"{flags.MAX_FLAGS} flags, {flags.MAX_VARIANTS} variants and {flags.MAX_RULES} rules each, "
        f"{flags.MAX_CONDITIONS} conditions in one `when` or `unless`, {flags.MAX_VALUES} values in one condition"
    )
    assert said in text, said
    assert all(f"`{name}`" in text for name in flags.FlagTest.__struct_fields__)


def test_the_list_of_schemas_is_complete() -> None:
    text = SCHEMAS.read_text(encoding="utf-8")
    assert set(re.findall(r"\(v1/([a-z-]+)\.json\)", text)) == set(SHAPES)


@pytest.mark.parametrize("document", [SUBJECTS, SCHEMAS], ids=lambda path: path.parent.name)
def test_the_reserved_names_are_told(document: Path) -> None:
    listed = re.search(r"`(hub nats [a-z ]+)`", document.read_text(encoding="utf-8"))
    assert listed
    assert set(listed[1].split()) == subjects.RESERVED_NAMES
