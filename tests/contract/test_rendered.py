"""The rendered files say what the code says, and are what their own standards ask for."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from hub import contract
from hub.contract import asyncapi, tables, yaml
from hub.wire.messages import MESSAGES, SHAPES
from hub.wire.roles import CALLER_ROLES
from hub.wire.schemas import attribute_docs
from tests.contract import blocks
from tests.contract.golden import ROOT

ASYNCAPI = "subjects/asyncapi.yaml"
_META_SCHEMA = Path(__file__).with_name("asyncapi-3.0.0.schema.json")


def test_the_contract_in_the_repository_is_what_the_code_says() -> None:
    assert contract.check(ROOT) == [], "run `hub contract --write`"


@pytest.mark.parametrize("name", ["README.md", "subjects/README.md"])
def test_the_readmes_have_a_place_for_the_table_of_subjects(name: str) -> None:
    assert tables.placed((ROOT / name).read_text(encoding="utf-8"), "") is not None


def test_what_was_imported_before_does_not_matter() -> None:
    """Python keeps one of two annotations that are equal, whichever is met first, and `1 == 1.0`."""
    settings_first = "from pathlib import Path; from hub import settings; settings.load(); from hub import contract"
    code = f"{settings_first}; print(contract.check(Path()))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_rendering_twice_gives_the_same() -> None:
    assert contract.render() == contract.render()


def test_a_contract_written_anew_is_complete_and_without_drift(tmp_path: Path) -> None:
    contract.write(tmp_path)
    assert contract.check(tmp_path) == []
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    conf = {f"subjects/permissions/{role}.conf" for role in CALLER_ROLES}
    assert written == set(contract.render()) == {ASYNCAPI, *conf, *(f"schemas/v1/{name}.json" for name in SHAPES)}


def test_every_kind_of_drift_is_named_and_mended(tmp_path: Path) -> None:
    contract.write(tmp_path)
    shutil.copy(ROOT / "subjects" / "README.md", tmp_path / "subjects" / "README.md")
    (tmp_path / "schemas/v1/register.json").unlink()
    (tmp_path / "schemas/v1/unheard-of.json").write_text("{}")
    (tmp_path / ASYNCAPI).write_text("asyncapi: 2.6.0\n")
    (tmp_path / "subjects/permissions/reader.conf").write_text("publish: {}\n")
    (tmp_path / "subjects/permissions/boss.conf").write_text("publish: {}\n")
    readme = tmp_path / "subjects" / "README.md"
    text = readme.read_text(encoding="utf-8")
    readme.write_text(text.replace("| `hub.register` |", "| `hub.enroll` |"), encoding="utf-8")
    assert contract.check(tmp_path) == [
        f"{ASYNCAPI} (drifted)",
        "subjects/permissions/reader.conf (drifted)",
        "schemas/v1/register.json (missing)",
        "schemas/v1/unheard-of.json (superfluous)",
        "subjects/permissions/boss.conf (superfluous)",
        "subjects/README.md (table of subjects drifted)",
    ]
    contract.write(tmp_path)
    assert contract.check(tmp_path) == []


def test_a_readme_that_lost_its_table_is_named(tmp_path: Path) -> None:
    contract.write(tmp_path)
    (tmp_path / "README.md").write_text("# Central Hub\n")
    assert len(found := contract.check(tmp_path)) == 1
    assert tables.BEGIN in found[0]


def test_a_checkout_with_other_line_endings_is_drift(tmp_path: Path) -> None:
    contract.write(tmp_path)
    path = tmp_path / ASYNCAPI
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert contract.check(tmp_path) == [f"{ASYNCAPI} (drifted)"]


def test_the_asyncapi_document_is_valid_asyncapi_3() -> None:
    meta = jsonschema_rs.Draft7Validator(json.loads(_META_SCHEMA.read_text(encoding="utf-8")))
    assert [str(error) for error in meta.iter_errors(_document())] == []


def test_the_yaml_says_what_was_rendered() -> None:
    assert _document() == asyncapi.document()


def test_yaml_quotes_whatever_could_be_read_as_something_else() -> None:
    awkward = {
        "no": "yes",
        "Null": None,
        "1.0": 1.0,
        "a b": " # not a comment",
        "$ref": "x: y",
        "-": [],
        "empty": {},
        "list": [{"a": 'say "no"'}, [1]],
        "deep": {"er": {"est": "é\n"}},
    }
    text = yaml.document(awkward)
    assert blocks.read(text) == awkward
    assert '"no": "yes"' in text
    assert '"Null": null' in text


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    document = _document()
    for reference in _references(document):
        file, _, pointer = reference.partition("#")
        if file:
            assert (ROOT / "subjects" / file).resolve().is_file(), reference
            continue
        node = document
        for step in pointer.strip("/").split("/"):
            assert step in node, reference
            node = node[step]


@pytest.mark.parametrize("message", SHAPES)
def test_a_schema_is_valid_and_its_references_stay_within_it(message: str) -> None:
    schema = _schema(message)
    jsonschema_rs.meta.validate(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"urn:central-hub:v1:{message}"
    assert schema["title"]
    assert schema["description"]
    assert all(reference.rpartition("/")[2] in schema["$defs"] for reference in _references(schema))


@pytest.mark.parametrize("message", MESSAGES)
def test_a_schema_takes_unknown_fields_and_has_no_words_of_python(message: str) -> None:
    text = json.dumps(_schema(message))
    assert '"additionalProperties": false' not in text
    assert r"\\Z" not in text


def test_what_operators_write_by_hand_takes_no_unknown_fields() -> None:
    schema = _schema("flag")
    assert all(each["additionalProperties"] is False for each in (schema, *schema["$defs"].values()))


@pytest.mark.parametrize("message", SHAPES)
def test_what_is_said_of_a_field_in_the_code_is_said_in_its_schema(message: str) -> None:
    properties = _schema(message)["properties"]
    for field, text in attribute_docs(SHAPES[message]).items():
        assert properties[field]["description"].startswith(text)


def test_timestamps_are_told_as_such() -> None:
    assert _schema("record")["properties"]["since"]["format"] == "date-time"
    assert _schema("discovered")["$defs"]["Instance"]["properties"]["since"]["format"] == "date-time"


def test_the_words_for_an_expected_value_stand_in_its_schema() -> None:
    assert "a URL scheme such as 'http'" in _schema("register")["properties"]["protocol"]["description"]


def _document() -> Any:
    return blocks.read((ROOT / ASYNCAPI).read_text(encoding="utf-8"))


def _schema(message: str) -> Any:
    return json.loads((ROOT / "schemas" / "v1" / f"{message}.json").read_text(encoding="utf-8"))


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, inner in node.items():
            if key == "$ref":
                yield inner
            else:
                yield from _references(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from _references(inner)
