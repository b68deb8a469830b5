from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from hub.cli.config.group import VERBS as CONFIG_VERBS
from hub.cli.config.group import config
from hub.cli.group import VERBS, hub
from hub.version import __version__

CLIENT_VERBS = ("services", "discover", "register", "deregister", "watch", "version")
CLIENT_MODULES = (*CLIENT_VERBS, *(verb.place.split(":")[0].removeprefix("hub.cli.") for verb in CONFIG_VERBS.values()))
HEAVY = ("starlette", "uvicorn", "structlog", "prometheus_client", "uvloop", "rich", "hub.app", "hub.store")


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)


def command(verb: str) -> click.Command:
    found = hub.get_command(click.Context(hub), verb)
    assert found is not None
    return found


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str) -> None:
    result = CliRunner().invoke(hub, [verb, "--help"])
    assert result.exit_code == 0, result.output
    assert result.output.startswith(f"Usage: hub {verb}")
    assert command(verb).help


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_is_explained(verb: str) -> None:
    for parameter in command(verb).params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"hub {verb} {parameter.opts[0]} has no help text"


@pytest.mark.parametrize("verb", CONFIG_VERBS)
def test_every_verb_of_a_group_explains_itself_and_its_options(verb: str) -> None:
    result = CliRunner().invoke(hub, ["config", verb, "--help"])
    assert result.exit_code == 0, result.output
    assert result.output.startswith(f"Usage: hub config {verb}")
    found = config.get_command(click.Context(config), verb)
    assert found is not None
    assert found.help
    for parameter in found.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"hub config {verb} {parameter.opts[0]} has no help text"


def test_a_verb_of_a_group_that_does_not_exist_is_wrong_usage_and_the_one_that_was_meant_is_named() -> None:
    result = CliRunner().invoke(hub, ["config", "roleback"])
    assert result.exit_code == 2
    assert "No such command 'roleback'. Did you mean 'rollback'?" in result.output


@pytest.mark.parametrize("verb", CLIENT_VERBS)
def test_every_verb_that_asks_can_be_told_whom_and_how_to_answer(verb: str) -> None:
    names = {name for parameter in command(verb).params for name in parameter.opts}
    assert {"--nats", "--json"} <= names


def test_the_help_lists_every_verb_and_every_exit_code() -> None:
    text = CliRunner().invoke(hub, ["--help"]).output
    for verb, (_, summary) in VERBS.items():
        assert f"  {verb}" in text
        assert summary in text
    for code in (0, 1, 2, 3, 4, 130):
        assert f"\n    {code} " in text


def test_a_verb_that_does_not_exist_is_wrong_usage_and_the_one_that_was_meant_is_named() -> None:
    result = CliRunner().invoke(hub, ["srvices"])
    assert result.exit_code == 2
    assert "No such command 'srvices'. Did you mean 'services'?" in result.output
    assert "Did you mean" not in CliRunner().invoke(hub, ["xyzzy"]).output


def test_the_version_is_an_option_too() -> None:
    result = CliRunner().invoke(hub, ["--version"])
    assert (result.exit_code, result.output) == (0, f"hub {__version__}\n")


def test_the_help_imports_no_verb() -> None:
    result = python(
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from hub.cli.group import hub\n"
        "assert CliRunner().invoke(hub, ['--help']).exit_code == 0\n"
        f"print([name for name in (*{HEAVY}, 'nats', 'asyncio') if name in sys.modules])"
    )
    assert result.stdout == "[]\n", result.stderr


def test_the_verbs_of_a_client_wait_for_none_of_the_servers_imports() -> None:
    result = python(
        "import importlib, sys\n"
        f"[importlib.import_module('hub.cli.' + verb) for verb in {CLIENT_MODULES}]\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    assert result.stdout == "[]\n", result.stderr


@pytest.mark.parametrize("missing", ["click", "rich"])
def test_a_bare_install_is_told_what_the_command_needs(missing: str) -> None:
    result = python(f"import sys; sys.modules[{missing!r}] = None\nfrom hub.cli.entry import main\nmain()")
    assert result.returncode == 1
    assert result.stderr == "the hub command needs the server extra: pip install 'central-hub[server]'\n"
    assert result.stdout == ""
