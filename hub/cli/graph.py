from __future__ import annotations

from typing import Final, Literal, get_args

import click
import msgspec

from hub.cli import diagrams, failure, output, tree
from hub.cli.options import connection, json_output
from hub.cli.session import Session, connected, run
from hub.errors import NotFound
from hub.wire import subjects
from hub.wire.graph import Direction, Graph, ServiceGraph

Format = Literal["tree", "mermaid", "dot", "json"]
_TEXT: Final = {"mermaid": diagrams.mermaid, "dot": diagrams.dot}


@click.command()
@click.argument("name", default="")
@click.option(
    "--format",
    "shape",
    type=click.Choice(get_args(Format)),
    default="tree",
    show_default=True,
    help="A tree for people, a diagram in the language of Mermaid or Graphviz, or the same as --json.",
)
@click.option(
    "--direction",
    type=click.Choice(get_args(Direction)),
    default="both",
    show_default=True,
    help="With NAME: what it depends on, what depends on it, or both.",
)
@click.option("--depth", type=click.IntRange(min=0), default=0, help="With NAME: at most so many steps (0: all).")
@click.option("--declared-only", is_flag=True, help="Without what is only observed.")
@json_output("the graph as JSON, in the shape of the reply to hub.graph")
@connection()
@click.pass_context
def graph(
    ctx: click.Context,
    urls: list[str],
    timeout: float,
    as_json: bool,
    name: str,
    shape: Format,
    direction: Direction,
    depth: int,
    declared_only: bool,
) -> None:
    """Show who depends on whom: all services, or those around the service NAME.

    A service that is shown in full further up is marked with … and one that leads back to where it came from with ↺.
    Where nobody of that name is known the exit code is 3.
    """
    if as_json and shape in _TEXT:
        raise click.UsageError(f"--format {shape} does not go with --json.")
    as_json = as_json or shape == "json"
    failure.want_json(ctx, as_json)
    query = Graph(name=name, direction=direction, depth=depth, observed=not declared_only)
    found = run(_ask(urls, timeout, query))
    if as_json:
        output.print_json(found)
    if not found.services and name:
        raise NotFound(f"{name!r} is not registered, and nobody depends on it")
    if as_json:
        return
    if shape in _TEXT:
        click.echo(_TEXT[shape](found))
    elif not found.services:
        output.note("no service is registered")
    else:
        output.print_tree(tree.grown(found, name, direction))
        for cycle in found.cycles:
            output.note("these depend on each other: " + ", ".join(cycle))


async def every_page(session: Session, query: Graph) -> ServiceGraph:
    """The graph, put together from as many pages as it takes."""
    page = await session.ask(subjects.GRAPH, query, ServiceGraph)
    services, edges, cycles = list(page.services), list(page.edges), list(page.cycles)
    while page.next is not None:
        page = await session.ask(subjects.GRAPH, msgspec.structs.replace(query, after=page.next), ServiceGraph)
        services += page.services
        edges += page.edges
        cycles += page.cycles
    return msgspec.structs.replace(page, services=tuple(services), edges=tuple(edges), cycles=tuple(cycles))


async def _ask(urls: list[str], timeout: float, query: Graph) -> ServiceGraph:
    async with connected(urls, timeout) as session:
        return await every_page(session, query)
