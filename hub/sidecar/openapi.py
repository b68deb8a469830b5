"""The routes as an OpenAPI 3.1 document, rendered from the table and the messages."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, Final

import msgspec
from msgspec import Struct

from hub.sidecar.login import LoginRule
from hub.sidecar.problems import MEDIA_TYPE as PROBLEM
from hub.sidecar.problems import Problem
from hub.sidecar.replies import JSON
from hub.sidecar.row import Row
from hub.version import __version__
from hub.wire.names import InstanceId, ServiceName
from hub.wire.schemas import components, portable

Node = dict[str, Any]

_REF: Final = "#/components/schemas/{name}"
_PLACES: Final[dict[str, Any]] = {"name": ServiceName, "instance_id": InstanceId}
"""What may stand in the places of a path, where no message says it of that name."""
_TAGS: Final = ("discovery", "config")
_ABOUT: Final = (
    "The HTTP face of a hub. Each route is a translation of a subject on NATS: what it takes, what it answers, its "
    "errors and its limits are those of the message. Errors are problem documents (RFC 9457). A hub that only takes "
    "callers who prove who they are wants a token, a key or a certificate where a route names them; any other asks "
    "nobody."
)
_SCHEMES: Final[Node] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A JWT of an issuer that the hub trusts, or a key.",
    },
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "A key, without `Bearer`."},
    "certificate": {"type": "mutualTLS", "description": "A client certificate of a CA that the hub trusts."},
}
"""By what callers prove who they are; one of them for each request."""
_LOGINS: Final[dict[LoginRule, str]] = {
    "needed": "With a login, where access is enforced.",
    "network": "With a login, or from one of `http.metrics_networks`, where access is enforced.",
    "welcome": "Where access is enforced, who has no login is told `status` and `version` alone.",
    "none": "",
}
_WHY: Final = {
    400: "A parameter, a place or the body is not what the contract says; `field` names it.",
    401: "Nothing proves who asks: no login, or one that is unknown, expired or revoked.",
    403: "Who asks may not have what is asked for.",
    404: "The instance is not registered, or the revision is not kept.",
    408: "The body did not come in time.",
    409: "The instance id belongs to another service, or the configuration has another revision than the one named.",
    413: "The body has more than 64 KiB, or is too large to be stored; or the answer is too large for a message.",
    415: "The body is said to be something else than JSON.",
    422: "What a service would run with is not as its schema wants it; `detail` names every place.",
    429: "Who asks has asked too often; `Retry-After` says when to ask again.",
    500: "The hub failed in a way that is its own fault.",
    501: "The contract knows what is asked for, this hub does not do it.",
    503: "Too much is in flight, or NATS is away; try again in a moment.",
    504: "The store did not answer in time; whether it was written is not known.",
}
"""What each refusal means."""
_ETAG: Final[Node] = {"schema": {"type": "string"}, "description": "Changes with the body; for `If-None-Match`."}


def document(table: tuple[Row, ...]) -> Node:
    """The whole document."""
    schemas = _schemas(table)
    paths: Node = {}
    for row in table:
        paths.setdefault(row.path, {})[row.method.lower()] = _operation(row, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Central Hub",
            "version": __version__,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {str(status): _refusal(status) for status in _WHY},
            "securitySchemes": _SCHEMES,
        },
    }


def refused(row: Row) -> list[int]:
    """The errors that a row may answer with."""
    found = {*row.refusals}
    if row.places or row.query or row.body:
        found |= {400, 500, 503}
    if row.body:
        found |= {408, 413, 415}
    if row.method != "GET":
        found |= {504}
    if row.login in ("needed", "network"):
        found |= {401, 429}
    if row.login != "none":
        found |= {403}
    return sorted(found)


def security(row: Row) -> list[Node]:
    """The logins of which a row takes one; an empty one is none at all."""
    if row.login == "none":
        return []
    without: list[Node] = [] if row.login == "needed" else [{}]
    return [*({scheme: []} for scheme in _SCHEMES), *without]


def summary(row: Row) -> str:
    """What a row does, in a sentence."""
    return row.channel.description if row.channel else " ".join((row.handle.__doc__ or "").split())


def parameters(row: Row, schemas: dict[str, Node]) -> list[Node]:
    """The places and parameters of a row as OpenAPI has them."""
    told: list[Node] = [
        {"name": name, "in": "path", "required": True, "schema": _place(row, name, schemas)} for name in row.places
    ]
    for name in row.parameters:
        assert row.query is not None
        schema = dict(schemas[row.query.__name__]["properties"][name])
        node: Node = {"name": name, "in": "query", "required": False}
        if words := schema.pop("description", ""):
            node["description"] = words
        if schema.get("type") == "array":
            node |= {"style": "form", "explode": True}
        told.append({**node, "schema": _said(schema)})
    return told


def _operation(row: Row, schemas: dict[str, Node]) -> Node:
    node: Node = {
        "operationId": operation_id(row),
        "summary": summary(row),
        "description": f"For {row.audience}: {row.answers}. {_LOGINS[row.login]}".rstrip(),
        "tags": [next((tag for tag in _TAGS if row.path.split("/")[1] == tag), "hub")],
    }
    told = parameters(row, schemas)
    if row.conditional:
        told.append({"name": "If-None-Match", "in": "header", "required": False, "schema": {"type": "string"}})
    if told:
        node["parameters"] = told
    if row.body is not None:
        schema, required = _body(row.body, row.places, schemas[row.body.__name__])
        node["requestBody"] = {"required": required, "content": {JSON: {"schema": schema}}}
    node["security"] = security(row)
    node["responses"] = {**dict(_successes(row)), **{str(s): _response(s) for s in refused(row)}}
    return node


def operation_id(row: Row) -> str:
    """A name for programs: method and path in words."""
    words = [part.strip("{}").partition(".")[0] for part in row.path.split("/") if part]
    return "_".join([row.method.lower(), *(words or ["root"])])


def _successes(row: Row) -> Iterator[tuple[str, Node]]:
    node: Node = {"description": HTTPStatus(row.status).phrase}
    if row.status != HTTPStatus.NO_CONTENT:
        schema = {"type": "string"} if row.reply is None and row.media_type != JSON else {"type": "object"}
        node["content"] = {row.media_type: {"schema": _ref(row.reply) if row.reply else schema}}
    if row.events:
        node["x-events"] = {name: _ref(kind) for name, kind in row.events.items()}
    if row.conditional:
        node["headers"] = {"ETag": _ETAG}
    yield str(row.status), node
    if row.conditional:
        yield "304", {"description": "As the caller has it already.", "headers": {"ETag": _ETAG}}
    if row.reply and row.channel is None and row.path != "/":
        yield "503", {**node, "description": "It is not well; the body says so in the same way."}


def _refusal(status: int) -> Node:
    node: Node = {"description": _WHY[status], "content": {PROBLEM: {"schema": _ref(Problem)}}}
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        node["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
    if status == HTTPStatus.UNAUTHORIZED:
        node["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}, "description": "`Bearer`, by RFC 6750."}}
    return node


def _response(status: int) -> Node:
    return {"$ref": f"#/components/responses/{status}"}


def _schemas(table: tuple[Row, ...]) -> dict[str, Node]:
    kinds: dict[type[Struct], None] = {Problem: None}
    for row in table:
        kinds |= {kind: None for kind in (row.query, row.body, row.reply, *row.events.values()) if kind is not None}
    return components(kinds, ref_template=_REF)


def _body(kind: type[Struct], places: tuple[str, ...], schema: Node) -> tuple[Node, bool]:
    """A message without what the path says of it, and whether anything in it has to be there."""
    required = [name for name in schema.get("required", []) if name not in places]
    properties = {name: each for name, each in schema["properties"].items() if name not in places}
    whole = len(properties) == len(schema["properties"])
    return _ref(kind) if whole else {**schema, "properties": properties, "required": required}, bool(required)


def _place(row: Row, name: str, schemas: dict[str, Node]) -> Node:
    if name in _PLACES:
        schema: Node = portable(msgspec.json.schema(_PLACES[name]))
        return schema
    kind = row.query or row.body
    assert kind is not None
    found: Node = schemas[kind.__name__]["properties"][name]
    return found


def _said(schema: Node) -> Node:
    """A parameter is there with a value or it is not: null cannot be said in a query."""
    options = [option for option in schema.get("anyOf", []) if option != {"type": "null"}]
    if len(options) != 1:
        return schema
    return {**{key: value for key, value in schema.items() if key not in ("anyOf", "default")}, **options[0]}


def _ref(kind: type[Struct]) -> Node:
    return {"$ref": _REF.format(name=kind.__name__)}
