"""How operators log in from the command line, and what they are told when they are not let in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from hub.cli.group import hub as hub_command
from hub.transport.login import VARIABLES
from tests.commands import Running, run
from tests.hubs import HubProcess
from tests.keys import nkey_pair
from tests.servers import NatsServer

pytestmark = pytest.mark.open_only("about the processes of commands")

SECRET = "s3cret-that-nobody-shows"
NOTHING = "hub: no service is registered\n"
SEED, PUBLIC = nkey_pair()
OTHER_SEED, OTHER = nkey_pair()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A server that lets an operator and a hub in; another operator may ask for nothing but services."""
    config = f"""authorization {{ users: [
      {{ user: hub, password: hub }},
      {{ nkey: {PUBLIC} }},
      {{ nkey: {OTHER}, permissions: {{ publish: "hub.services" }} }}
    ] }}"""
    with NatsServer(tmp_path_factory.mktemp("nats"), config=config) as process:
        yield process


@pytest.fixture(scope="module")
def hub(server: NatsServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """A hub on it."""
    url = server.url.replace("//", "//hub:hub@")
    with HubProcess(tmp_path_factory.mktemp("hub"), nats_url=url) as process:
        yield process


def keep(path: Path, secret: str, mode: int = 0o600) -> str:
    """A file with it."""
    path.write_text(f"{secret}\n")
    path.chmod(mode)
    return str(path)


def test_an_operator_logs_in_with_the_file_of_an_nkey(server: NatsServer, hub: HubProcess, tmp_path: Path) -> None:
    file = keep(tmp_path / "ada.nk", SEED)
    by_option = run("services", "--nkey", file, nats=server.url)
    assert (by_option.returncode, by_option.stderr) == (0, NOTHING)
    for value in (file, SEED):
        by_variable = run("services", nats=server.url, HUB_NKEY=value)
        assert (by_variable.returncode, by_variable.stderr) == (0, NOTHING)


def test_a_token_is_read_from_its_file(tmp_path: Path) -> None:
    file = keep(tmp_path / "token", SECRET)
    with NatsServer(tmp_path / "nats", jetstream=False, config=f'authorization {{ token: "{SECRET}" }}') as server:
        for given in (
            run("version", "--timeout", "30", "--token-file", file, nats=server.url),
            run("version", "--timeout", "30", nats=server.url, HUB_TOKEN_FILE=file),
            run("version", "--timeout", "30", nats=server.url, HUB_API_KEY=SECRET),
        ):
            assert "nats-server 2." in given.stdout, given.stderr
            assert given.stderr == ""


def test_a_refused_login_says_which_file_was_tried_and_what_to_do(server: NatsServer, tmp_path: Path) -> None:
    stranger, _ = nkey_pair()
    file = keep(tmp_path / "stranger.nk", stranger)
    done = run("services", "--nkey", file, nats=server.url)
    assert done.returncode == 1
    assert done.stderr.startswith(f"hub: NATS at {server.url} refuses the login")
    assert f"the nkey in {file} is wrong, expired or revoked, or no hub is there" in done.stderr
    assert "--token-file" in done.stderr, "the next step"
    assert stranger not in done.stderr
    as_json = run("services", "--json", "--nkey", file, nats=server.url)
    assert json.loads(as_json.stderr)["error"]["code"] == "unauthenticated"


def test_without_a_login_the_command_says_how_to_log_in(server: NatsServer) -> None:
    done = run("services", nats=server.url)
    assert done.returncode == 1
    assert "it asks for one, and none was given" in done.stderr
    assert "--nkey" in done.stderr


def test_what_is_not_permitted_is_told_at_once_with_who_asked(
    server: NatsServer, hub: HubProcess, tmp_path: Path
) -> None:
    file = keep(tmp_path / "other.nk", OTHER_SEED)
    assert run("services", "--nkey", file, nats=server.url).returncode == 0
    done = run("drain", "engine", "--timeout", "50", "--nkey", file, nats=server.url)
    assert done.returncode == 1
    assert "hub.admin.drain: not permitted on this NATS to who is logged in" in done.stderr
    assert f"(logged in with the nkey in {file})" in done.stderr
    as_json = run("drain", "engine", "--json", "--timeout", "50", "--nkey", file, nats=server.url)
    assert json.loads(as_json.stderr)["error"]["code"] == "forbidden"


def test_a_file_that_cannot_be_used_is_named_and_its_content_is_not_shown(server: NatsServer, tmp_path: Path) -> None:
    absent = run("services", "--token-file", str(tmp_path / "absent"), nats=server.url)
    assert absent.returncode == 1
    assert f"the token in {tmp_path / 'absent'}: it cannot be read (No such file or directory)" in absent.stderr
    file = keep(tmp_path / "no-seed", SECRET)
    wrong = run("services", "--nkey", file, nats=server.url)
    assert wrong.returncode == 1
    assert f"the nkey in {file}: expected the seed of a user's nkey" in wrong.stderr
    assert SECRET not in wrong.stderr


def test_a_file_that_anybody_can_read_is_warned_of(server: NatsServer, hub: HubProcess, tmp_path: Path) -> None:
    file = keep(tmp_path / "open.nk", SEED, 0o644)
    done = run("services", "--nkey", file, nats=server.url)
    assert done.returncode == 0
    assert done.stderr.startswith(f"hub: warning: {file}: anybody on this machine may read it")


def test_two_ways_to_log_in_are_wrong_usage(tmp_path: Path) -> None:
    file = keep(tmp_path / "secret", SECRET)
    for done in (
        run("services", "--nkey", file, "--token-file", file),
        run("services", HUB_NKEY=file, HUB_API_KEY=SECRET),
        run("services", nats=f"nats://ada:{SECRET}@127.0.0.1:1", HUB_NKEY=file),
        run("services", "--nkey", file, "--nats", f"nats://ada:{SECRET}@127.0.0.1:1"),
    ):
        assert done.returncode == 2, done.stderr
        assert "expected one way to log in" in done.stderr
        assert SECRET not in done.stderr


def test_no_secret_goes_onto_the_command_line_without_a_word(server: NatsServer, hub: HubProcess) -> None:
    typed = run("services", "--nkey", SEED, nats=server.url)
    assert typed.returncode == 2
    assert "anybody can read a command line" in typed.stderr
    assert SEED not in typed.stderr
    assert run("services", "--token", SECRET).returncode == 2, "there is no such option"
    url = run("services", "--nats", server.url.replace("//", "//hub:hub@"))
    assert url.returncode == 0
    assert url.stderr.startswith("hub: warning: --nats has a login in it")
    assert run("services", nats=server.url.replace("//", "//hub:hub@")).stderr == NOTHING


def test_a_watch_outlives_a_login_that_is_refused_for_a_while(tmp_path: Path) -> None:
    def users(*public: str) -> str:
        let_in = ", ".join(["{ user: hub, password: hub }", *(f"{{ nkey: {each} }}" for each in public)])
        return f"authorization {{ users: [ {let_in} ] }}"

    file = keep(tmp_path / "ada.nk", SEED)
    with NatsServer(tmp_path / "nats", config=users(PUBLIC)) as server:
        hub = HubProcess(tmp_path / "hub", nats_url=server.url.replace("//", "//hub:hub@"))
        with hub, Running("watch", "--nkey", file, nats=server.url) as watching:
            watching.wait_for("no service is registered", watching.err)
            server.reload(users())
            told = watching.wait_for("Authorization Violation", watching.err)
            assert f"logged in with the nkey in {file}" in told
            server.reload(users(PUBLIC))
            register = ("register", "engine", "--host", "h", "--port", "1", "--instance-id", "e1")
            assert run(*register, "--nkey", file, "--timeout", "30", nats=server.url).returncode == 0
            watching.wait_for("engine", watching.out)


def asking(group: click.Group, path: str = "hub") -> Iterator[tuple[str, click.Command]]:
    """Every verb that talks to NATS as a client."""
    ctx = click.Context(group)
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        if isinstance(command, click.Group):
            yield from asking(command, f"{path} {name}")
        elif name != "serve" and command is not None and any("--nats" in each.opts for each in command.params):
            yield f"{path} {name}", command  # `serve` is no client


def test_every_verb_that_asks_takes_every_way_to_log_in() -> None:
    found = dict(asking(hub_command))
    assert len(found) > 30
    for name, command in found.items():
        options = {option for parameter in command.params for option in parameter.opts}
        assert {"--nats", "--nkey", "--token-file", "--creds"} <= options, name
        assert not {"--token", "--api-key", "--password"} & options, f"{name}: anybody can read a command line"
    help_text = found["hub services"].get_help(click.Context(found["hub services"], terminal_width=200))
    assert {"HUB_NKEY", "HUB_TOKEN_FILE", "HUB_TOKEN", "HUB_API_KEY", "HUB_CREDS"} == set(VARIABLES)
    for variable in VARIABLES:
        assert variable in help_text
        assert variable in str(hub_command.epilog)
