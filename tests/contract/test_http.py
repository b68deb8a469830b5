"""The documents that the HTTP face gives of itself say what the table of routes says, to machines and to people."""

from __future__ import annotations

import json
import re
import shlex
from html.parser import HTMLParser
from typing import Any

import jsonschema_rs
import pytest
import schemathesis

from hub.errors import BY_CODE, DeadlineExceeded, NoInstance
from hub.sidecar import openapi, page
from hub.sidecar.change import OneChange
from hub.sidecar.feed import EVENTS
from hub.sidecar.problems import MEDIA_TYPE, MethodNotAllowed, Problem, RequestTimeout, UnsupportedMediaType, document
from hub.sidecar.row import Row
from hub.sidecar.table import TABLE
from hub.wire import channels
from hub.wire.codec import Decoder
from tests.documents import DEPLOY, prose

DOCUMENT = openapi.document(TABLE)
PAGE = page.render(TABLE, DOCUMENT, "http")
each_row = pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.method} {row.path}")


class Links(HTMLParser):
    """What a page leads to and loads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str, str]] = []
        self.tags: set[str] = set()
        self.ids: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name in ("href", "src", "srcset", "action", "data", "poster", "style") or name.startswith("on"):
                self.found.append((tag, name, value or ""))
            if name == "id":
                assert value not in self.ids, value
                self.ids.add(value or "")


def operation(row: Row) -> Any:
    return DOCUMENT["paths"][row.path][row.method.lower()]


def references(node: Any) -> list[str]:
    """Every `$ref` within."""
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [found for inner in node.values() for found in references(inner)]
    return [found for inner in node for found in references(inner)] if isinstance(node, list) else []


# --- OpenAPI


def test_the_document_has_the_routes_of_the_table_and_no_other() -> None:
    told = [(method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods]
    assert sorted(told) == sorted((row.method, row.path) for row in TABLE)


def test_no_route_stands_there_twice_and_no_operation_has_the_name_of_another() -> None:
    assert len({(row.method, row.path) for row in TABLE}) == len(TABLE)
    assert len({openapi.operation_id(row) for row in TABLE}) == len(TABLE)


def test_the_document_is_valid_openapi_3_1() -> None:
    assert DOCUMENT["openapi"] == "3.1.0"
    schemathesis.openapi.from_dict(DOCUMENT).validate()


def test_every_schema_is_one_and_every_reference_leads_somewhere() -> None:
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema_rs.Draft202012Validator({"components": DOCUMENT["components"], **schema})
    for reference in references(DOCUMENT):
        node = DOCUMENT
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]


@each_row
def test_a_route_is_told_with_what_it_takes_and_answers(row: Row) -> None:
    told = operation(row)
    assert told["summary"].endswith((".", "?"))
    parameters = {(each["in"], each["name"]): each for each in told.get("parameters", [])}
    assert {name for where, name in parameters if where == "path"} == set(row.places)
    assert {name for where, name in parameters if where == "query"} == set(row.parameters)
    assert ("requestBody" in told) == (row.body is not None)
    assert str(row.status) in told["responses"]
    assert set(row.refusals) <= set(map(int, told["responses"]))
    assert all(each["schema"].keys() & {"type", "enum", "anyOf"} for each in parameters.values())


def test_the_filters_of_discovery_have_the_bounds_of_the_message() -> None:
    [row] = [row for row in TABLE if row.channel is not None and row.channel.name == "discover"]
    told = {each["name"]: each["schema"] for each in operation(row)["parameters"]}
    assert told["limit"] == {"type": "integer", "minimum": 0, "maximum": 100_000, "default": 0}
    assert told["wait"]["maximum"] == 60.0
    assert (told["tags"]["type"], told["tags"]["maxItems"]) == ("array", 16)
    assert told["zone"] == {"type": "string", "maxLength": 64}


@each_row
def test_a_route_says_which_logins_it_takes_and_how_it_refuses_others(row: Row) -> None:
    told = operation(row)
    schemes = DOCUMENT["components"]["securitySchemes"]
    assert {(each["type"], each.get("scheme"), each.get("name")) for each in schemes.values()} == {
        ("http", "bearer", None),
        ("apiKey", None, "X-API-Key"),
        ("mutualTLS", None, None),
    }
    needed: list[Any] = [{name: []} for name in schemes]
    expected = {"needed": needed, "network": [*needed, {}], "welcome": [*needed, {}], "none": []}
    assert told["security"] == expected[row.login]
    assert {"401", "403", "429"} <= set(told["responses"]) or row.login in ("welcome", "none")
    assert ("where access is enforced" in told["description"].lower()) == (row.login != "none")


def test_what_is_translated_to_a_subject_or_goes_by_its_rules_needs_a_login() -> None:
    for row in TABLE:
        assert (row.login in ("needed", "network")) == (row.channel is not None or row.like is not None), row.path
        assert row.channel is None or row.like is None
        assert row.like is None or row.like in channels.CHANNELS


def test_a_401_says_how_to_log_in() -> None:
    assert "WWW-Authenticate" in DOCUMENT["components"]["responses"]["401"]["headers"]
    assert "Retry-After" in DOCUMENT["components"]["responses"]["429"]["headers"]


@each_row
def test_what_the_path_says_is_not_asked_for_in_the_body(row: Row) -> None:
    if row.body is None:
        return
    schema = operation(row)["requestBody"]["content"]["application/json"]["schema"]
    known = DOCUMENT["components"]["schemas"][row.body.__name__]
    told = known if "$ref" in schema else schema
    assert set(told["properties"]) == set(row.body.__struct_fields__) - set(row.places)
    assert set(told.get("required", [])) == set(known.get("required", [])) - set(row.places)


def test_the_scope_in_a_path_is_what_the_message_takes() -> None:
    patterns = {
        row.path: [each["schema"]["pattern"] for each in operation(row)["parameters"] if each["name"] == "service"]
        for row in TABLE
        if "service" in row.places
    }
    for path, [pattern] in patterns.items():
        shared = re.match(pattern, "_all") is not None
        assert shared == (not path.endswith(("/schema", "/status"))), path


@each_row
def test_every_error_that_is_told_is_a_problem_document(row: Row) -> None:
    for status in openapi.refused(row):
        response = DOCUMENT["components"]["responses"][str(status)]
        assert response["content"] == {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
        shown = operation(row)["responses"][str(status)]
        assert shown == {"$ref": f"#/components/responses/{status}"}


def test_every_error_of_the_hub_has_its_place_in_the_document() -> None:
    made_by_clients = {DeadlineExceeded, NoInstance}
    statuses = {error.status for error in BY_CODE.values() if error not in made_by_clients}
    assert statuses <= set(map(int, DOCUMENT["components"]["responses"]))


@pytest.mark.parametrize("kind", [*BY_CODE.values(), MethodNotAllowed, UnsupportedMediaType, RequestTimeout])
def test_every_error_makes_a_problem_document_by_its_schema(kind: Any) -> None:
    told = json.loads(document(kind("port: expected 1..65535, got 0", field="port"), "/discovery/register"))
    schema = {**DOCUMENT["components"]["schemas"]["Problem"], "components": DOCUMENT["components"]}
    jsonschema_rs.Draft202012Validator(schema).validate(told)
    assert set(told) == set(Problem.__struct_fields__) - {"retry_after"}
    assert told["type"] == f"urn:central-hub:error:{kind.code}"
    assert told["status"] == kind.status


def test_the_events_of_a_stream_are_told_with_their_schemas() -> None:
    told = {row.path: operation(row)["responses"]["200"]["x-events"] for row in TABLE if row.events}
    schemas = DOCUMENT["components"]["schemas"]
    assert list(told) == ["/discovery/watch"]
    for name, kind in EVENTS.items():
        assert told["/discovery/watch"][name] == {"$ref": f"#/components/schemas/{kind.__name__}"}
        assert set(schemas[kind.__name__]["properties"]) == set(kind.__struct_fields__)
        assert f"Event <code>{name}</code>" in PAGE


# --- the page


def test_the_page_loads_nothing_and_leads_nowhere_else() -> None:
    links = Links()
    links.feed(PAGE)
    assert not links.tags & {"script", "link", "img", "iframe", "object", "embed", "form", "base", "svg", "video"}
    for tag, name, value in links.found:
        assert (tag, name) == ("a", "href")
        assert value.startswith("#") or value == "/openapi.json", value
        assert not value.startswith("#") or value[1:] in links.ids, value
    assert not re.search(r"url\(|@import|//(?!127\.0\.0\.1:7000)", PAGE)
    assert "default-src 'none'" in page.POLICY
    assert "script-src" not in page.POLICY


@each_row
def test_a_route_is_on_the_page_with_its_parameters_and_a_command(row: Row) -> None:
    assert f"<b>{row.method}</b> <code>{row.path}</code>" in PAGE
    section = PAGE.partition(f"<b>{row.method}</b> <code>{row.path}</code>")[2].partition("<h2")[0]
    for name in (*row.places, *row.parameters):
        assert f"<td><code>{name}</code></td>" in section
    for status in operation(row)["responses"]:
        assert f"<td><code>{status}</code></td>" in section
    assert "<pre>curl " in section


@each_row
def test_the_command_for_a_route_sends_what_the_contract_takes(row: Row) -> None:
    program, *arguments = shlex.split(page.curl(row))
    assert program == "curl"
    assert "{" not in arguments[-1]
    assert ("-X" in arguments) == (row.method in ("PUT", "PATCH", "DELETE"))
    assert ("--json" in arguments) == (row.body is not None)
    if row.body is not None:
        assert row.channel is not None
        assert row.channel.payload is not None
        body = arguments[arguments.index("--json") + 1].encode()
        places = {} if row.path.startswith("/discovery/") else {place: page.SAMPLES[place] for place in row.places}
        Decoder(row.channel.payload)(row.translate(body, places))


# --- what is said by hand


def test_routes_are_translations_of_subjects_that_there_are() -> None:
    for row in TABLE:
        if row.channel is None:
            continue
        assert row.channel in channels.CHANNELS
        assert f"`{row.channel.address.replace('{', '<').replace('}', '>')}`" in row.answers
        assert row.body in (None, OneChange, row.channel.payload)
        assert row.reply is None or row.reply is row.channel.reply or row.path == "/discovery/health"


def test_the_events_that_watchers_hear_are_told() -> None:
    [told] = [each for each in prose(DEPLOY).split("\n\n") if "`/discovery/watch` always begins" in each]
    assert {name for name in EVENTS if f"`{name}`" in told} == set(EVENTS)
