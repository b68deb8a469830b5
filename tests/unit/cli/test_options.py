from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from hub.cli.options import connection
from hub.cli.register import register


@click.command()
@connection()
def show(urls: list[str], timeout: float) -> None:
    click.echo(f"{urls} {timeout:g}")


def test_the_nats_of_this_machine_is_the_default() -> None:
    assert (
        CliRunner(env={"HUB_NATS_URL": None, "NATS_URL": None}).invoke(show).output == "['nats://127.0.0.1:4222'] 5\n"
    )


def test_several_servers_may_come_from_the_environment() -> None:
    result = CliRunner(env={"NATS_URL": "nats://a:1, tls://b:2,c:3"}).invoke(show)
    assert result.output == "['nats://a:1', 'tls://b:2', 'nats://c:3'] 5\n"


def test_the_hubs_own_variable_goes_before_the_platforms_as_it_does_for_the_server() -> None:
    assert CliRunner(env={"HUB_NATS_URL": "nats://a:1", "NATS_URL": "nats://b:2"}).invoke(show).output == (
        "['nats://a:1'] 5\n"
    )


def test_the_command_line_wins_over_the_environment() -> None:
    result = CliRunner(env={"NATS_URL": "nats://a:1"}).invoke(show, ["--nats", "nats://b:2", "--timeout", "0.5"])
    assert result.output == "['nats://b:2'] 0.5\n"


@pytest.mark.parametrize("url", ["http://a:80", "nats://", "nats://a:99999", "nats://a:b", "nats://[::1", ""])
def test_what_is_no_nats_url_is_wrong_usage(url: str) -> None:
    result = CliRunner().invoke(show, [f"--nats={url}"])
    assert result.exit_code == 2
    assert "expected" in result.output


@pytest.mark.parametrize("timeout", ["0", "-1", "soon"])
def test_what_is_no_timeout_is_wrong_usage(timeout: str) -> None:
    assert CliRunner().invoke(show, ["--timeout", timeout]).exit_code == 2


@pytest.mark.parametrize("metadata", ["novalue", "=x", "{broken", '{"a":1} trailing'])
def test_metadata_is_a_pair_or_an_object(metadata: str) -> None:
    result = CliRunner().invoke(register, ["a", "--host", "h", "--port", "1", "--metadata", metadata])
    assert result.exit_code == 2
    assert "--metadata" in result.output
