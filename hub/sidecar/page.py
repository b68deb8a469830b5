"""The page that explains the routes, rendered from the OpenAPI document: no script, no font, nothing from elsewhere."""

from __future__ import annotations

from html import escape
from typing import Any, Final

from hub.sidecar.replies import JSON
from hub.sidecar.row import Row
from hub.version import __version__

POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What a browser may load for it: nothing."""

_ADDRESS: Final = "127.0.0.1:7000"
SAMPLES: Final = {"name": "api-gateway", "instance_id": "a1", "service": "trading-engine", "id": "a1B2c3D4e5"}
_STYLE: Final = """
:root { color-scheme: light dark; --line: #8884; --dim: #888; --accent: #0a7d4f; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; }
h2 { border-top: 1px solid var(--line); font-size: 1.05rem; margin-top: 2rem; padding-top: 1rem; }
h2 b { color: var(--accent); display: inline-block; min-width: 4.5rem; }
code, pre { font: 0.85rem/1.5 ui-monospace, monospace; }
pre { border: 1px solid var(--line); border-radius: 4px; overflow-x: auto; padding: 0.6rem; }
table { border-collapse: collapse; width: 100%; }
td:first-child, th:first-child { width: 9rem; }
td, th { border-top: 1px solid var(--line); padding: 0.3rem 0.6rem 0.3rem 0; text-align: left; vertical-align: top; }
th { color: var(--dim); font-weight: normal; }
nav a, .dim { color: var(--dim); }
nav li { list-style: none; }
"""

Node = dict[str, Any]


def render(table: tuple[Row, ...], document: Node, scheme: str) -> str:
    """The page. It shows commands with URLs of this scheme."""
    links = "".join(f'<li><a href="#{_anchor(row)}"><code>{_title(row)}</code></a></li>' for row in table)
    sections = "".join(_section(row, document, scheme) for row in table)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Central Hub {__version__}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f"<h1>Central Hub {__version__}</h1><p>{_text(document['info']['description'])} "
        'The same for machines is at <a href="/openapi.json">/openapi.json</a>.</p>'
        f"<nav><ul>{links}</ul></nav>{sections}</body></html>"
    )


def curl(row: Row, scheme: str = "http") -> str:
    """A command that asks for it."""
    path = row.path
    for place, sample in SAMPLES.items():
        path = path.replace(f"{{{place}}}", sample)
    return " ".join(filter(None, ("curl", row.example, f"{scheme}://{_ADDRESS}{path}")))


def _section(row: Row, document: Node, scheme: str) -> str:
    operation = document["paths"][row.path][row.method.lower()]
    parts = [
        f'<h2 id="{_anchor(row)}"><b>{row.method}</b> <code>{escape(row.path)}</code></h2>',
        f"<p>{_text(operation['summary'])}</p><p class='dim'>{_text(operation['description'])}</p>",
        _parameters(operation.get("parameters", [])),
    ]
    if row.body is not None:
        schema = operation["requestBody"]["content"][JSON]["schema"]
        parts.append(f"<p>Body: {_fields(row.body.__name__, _resolved(schema, document))}</p>")
    parts += [_event(name, kind.__name__, document) for name, kind in row.events.items()]
    parts += [_responses(operation["responses"], document), f"<pre>{escape(curl(row, scheme))}</pre>"]
    return "".join(parts)


def _parameters(told: list[Node]) -> str:
    if not told:
        return ""
    rows = "".join(
        f"<tr><td><code>{escape(each['name'])}</code></td><td>{escape(each['in'])}</td>"
        f"<td>{escape(_kind(each['schema']))}</td><td>{_text(each.get('description', ''))}</td></tr>"
        for each in told
    )
    return f"<table><tr><th>parameter</th><th>in</th><th>takes</th><th></th></tr>{rows}</table>"


def _fields(name: str, schema: Node) -> str:
    """The fields of a message, those that have to be there first."""
    required = schema.get("required", [])
    fields = [*required, *(field for field in schema["properties"] if field not in required)]
    shown = ", ".join(f"<code>{escape(field)}</code>{' (required)' if field in required else ''}" for field in fields)
    return f"{escape(name)} as JSON: {shown}"


def _event(name: str, kind: str, document: Node) -> str:
    """One event of a stream, and what its data are."""
    schema = document["components"]["schemas"][kind]
    meaning = schema["description"].partition("\n\n")[0]
    return f"<p>Event <code>{name}</code>: {_text(meaning)} {_fields(kind, schema)}</p>"


def _responses(told: Node, document: Node) -> str:
    rows = "".join(
        f"<tr><td><code>{status}</code></td><td>{_text(_resolved(node, document)['description'])}</td></tr>"
        for status, node in told.items()
    )
    return f"<table><tr><th>response</th><th></th></tr>{rows}</table>"


def _resolved(node: Node, document: Node) -> Node:
    """What a node says, or what it refers to."""
    reference: str | None = node.get("$ref")
    if reference is None:
        return node
    family, _, name = reference.removeprefix("#/components/").partition("/")
    found: Node = document["components"][family][name]
    return found


def _kind(schema: Node) -> str:
    """What a value may be, in a few words."""
    if "enum" in schema:
        return "one of " + ", ".join(map(str, schema["enum"]))
    if schema.get("type") == "array":
        return f"list, separated by commas or repeated, at most {schema['maxItems']}"
    bounds = [f"{schema[key]}" for key in ("minimum", "maximum") if key in schema]
    return f"{schema.get('type', 'any')} {'..'.join(bounds)}".strip()


def _title(row: Row) -> str:
    return escape(f"{row.method} {row.path}")


def _anchor(row: Row) -> str:
    return f"{row.method}{row.path}".replace("{", "").replace("}", "").replace("/", "-").lower().rstrip("-")


def _text(words: str) -> str:
    """Words with `code` in them."""
    pieces = escape(words).split("`")
    return "".join(f"<code>{piece}</code>" if number % 2 else piece for number, piece in enumerate(pieces))
