"""README.md and deploy/README.md say what there is: all of it, and nothing else."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import click
import pytest

from hub.cli.access.group import VERBS as ACCESS_VERBS
from hub.cli.components.group import VERBS as COMPONENT_VERBS
from hub.cli.config.group import VERBS as CONFIG_VERBS
from hub.cli.flags.group import VERBS as FLAG_VERBS
from hub.cli.group import VERBS, LazyGroup, hub
from hub.cli.secret.group import VERBS as SECRET_VERBS
from hub.core import awareness, removal, rollouts, silence
from hub.settings.model import Settings
from hub.sidecar.table import TABLE
from hub.telemetry.catalogue import CATALOGUE
from hub.wire import codec, components, config, registration, secrets
from hub.wire.channels import CHANNELS
from hub.wire.flags import FlagTest
from hub.wire.subjects import RESERVED_NAMES
from tests.documents import DEPLOY, README, ROOT, blocks, inline, links, prose, rows

DOCUMENTS = [README, DEPLOY, ROOT / "CONTRIBUTING.md", ROOT / "subjects" / "README.md", ROOT / "schemas" / "README.md"]
TARGETS = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
each_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda document: document.relative_to(ROOT).as_posix()
)


@each_document
def test_every_link_leads_to_a_file_that_is_there(document: Path) -> None:
    for link in links(document):
        path, _, anchor = link.partition("#")
        assert link.startswith("https://") or (document.parent / path).resolve().exists(), link
        assert not anchor or link.startswith("https://"), f"nobody checks the anchor of {link}"


@each_document
def test_every_make_target_that_is_named_exists(document: Path) -> None:
    named = [arguments[0] for arguments in inline(document, "make")]
    named += [line.split()[1] for block in blocks(document) for line in block.commands if line.split()[0] == "make"]
    assert set(named) <= TARGETS


@pytest.mark.parametrize(
    ("target", "runs"),
    [
        ("up", ".venv/bin/hub up"),
        ("demo", ".venv/bin/python -m examples.demo"),
        ("bench", ".venv/bin/python -m tests.benchmarks"),
        ("test", ".venv/bin/python -m pytest"),
    ],
)
def test_a_make_target_runs_what_the_readme_says_it_does(target: str, runs: str) -> None:
    planned = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert runs in planned
    assert f"make {target}" in README.read_text(encoding="utf-8")


@each_document
def test_every_hub_command_that_is_named_exists_with_its_options(document: Path) -> None:
    assert isinstance(hub, LazyGroup)
    for verb, *arguments in inline(document, "hub"):
        if verb.startswith("-"):
            assert verb == "--help"
            continue
        if RESERVED_NAMES.issuperset([verb, *arguments]):
            continue  # the list of reserved names begins with `hub` too
        command = hub.get_command(click.Context(hub), verb)
        if isinstance(command, LazyGroup) and arguments:
            verb, (below, *arguments) = f"{verb} {arguments[0]}", arguments
            command = command.get_command(click.Context(command), below)
        assert command is not None, f"hub {verb}"
        known = {option for parameter in command.params for option in parameter.opts}
        assert {argument for argument in arguments if argument.startswith("--")} <= known, f"hub {verb}"


def test_every_verb_of_the_hub_command_is_listed_with_what_it_does() -> None:
    listed = rows(README, "| command | what |")
    assert listed == [(f"`hub {name}`", verb.summary) for name, verb in VERBS.items()]
    listed = rows(README, "| configuring | what |")
    assert listed == [(f"`hub config {name}`", verb.summary) for name, verb in CONFIG_VERBS.items()]
    listed = rows(README, "| secret | what |")
    assert listed == [(f"`hub secret {name}`", verb.summary) for name, verb in SECRET_VERBS.items()]
    listed = rows(README, "| access | what |")
    assert listed == [(f"`hub access {name}`", verb.summary) for name, verb in ACCESS_VERBS.items()]
    listed = rows(README, "| flags | what |")
    assert listed == [(f"`hub flags {name}`", verb.summary) for name, verb in FLAG_VERBS.items()]
    listed = rows(README, "| sharing files | what |")
    assert listed == [(f"`hub components {name}`", verb.summary) for name, verb in COMPONENT_VERBS.items()]


def test_every_test_of_an_attribute_is_listed() -> None:
    listed = {
        name for row in rows(README, "| a condition | holds of an attribute that |") for name in row[0].split("`")
    }
    assert set(FlagTest.__struct_fields__) <= listed


def test_every_route_is_listed_with_whom_it_is_for_and_what_it_answers() -> None:
    listed = rows(DEPLOY, "| route | for | answers |")
    assert listed == [(f"`{row.method} {row.path}`", row.audience, row.answers) for row in TABLE]


def test_every_metric_is_listed_with_its_kind_and_meaning() -> None:
    listed = rows(DEPLOY, "| metric | kind | what |")
    assert listed == [(f"`{metric.name}`", metric.kind, metric.meaning) for metric in CATALOGUE]


def test_every_metric_that_is_named_exists() -> None:
    named = set(re.findall(r"\bhub_[a-z_]+", prose(DEPLOY)))
    assert named == {metric.name for metric in CATALOGUE if metric.name.startswith("hub_")}


def test_every_setting_that_is_named_exists() -> None:
    sections = {name for name in Settings.__struct_fields__ if hasattr(getattr(Settings(), name), "__struct_fields__")}
    for document in (README, DEPLOY):
        for section, name in re.findall(r"`([a-z]+)\.([a-z_]+)`", prose(document)):
            if section == "hub":
                continue  # a subject, of which another test takes care
            assert section in sections, f"{section}.{name}"
            assert name in getattr(Settings(), section).__struct_fields__, f"{section}.{name}"


def test_every_subject_that_is_named_exists() -> None:
    families = {tuple(channel.address.split(".")[:2]) for channel in CHANNELS}
    for document in (README, DEPLOY):
        named = re.findall(r"`(hub\.[^`]+)`", prose(document))
        assert {tuple(subject.split(".")[:2]) for subject in named} <= families


def test_the_figures_in_the_readme_are_those_of_the_code() -> None:
    text = " ".join(prose(README).split())
    settings = Settings()
    for said in (
        f"no beat for `ttl` ({registration.DEFAULT_TTL:g} s)",
        f"critical for `deregister_after` ({registration.DEFAULT_DEREGISTER_AFTER:g} s; "
        f"{registration.PROBE_DEREGISTER_AFTER:g} s where the hub looks)",
        f"of more than {removal.SMALL_FLEET}, at most {settings.registry.removal_share:.0%} a minute".replace(
            "%", " %"
        ),
        f"half of a fleet of more than {silence.SMALL_FLEET} falls silent",
        f"at most {codec.MAX_MESSAGE_BYTES // 1024} KiB, metadata at most {registration.MAX_METADATA_DEPTH} levels",
        f"A configuration has at most {codec.MAX_MESSAGE_BYTES // 1024} KiB",
        f"the newest {config.HISTORY} of each service",
        f"A secret has at most {secrets.MAX_VALUE_BYTES // 1024} KiB",
        f"One change may name up to {config.MAX_CHANGES} services",
        f"is `pending` for {rollouts.PATIENCE:g} s",
        f"A component has at most {settings.components.max_file_bytes // 2**20} MiB, all of them together "
        f"{settings.components.max_total_bytes // 2**20} MiB, in at most {settings.components.max_files} files",
        f"The newest {components.HISTORY} versions are kept",
        f"(for `components.settle`, {settings.components.settle:g} s)",
        f"A hub lets {settings.limits.in_flight} requests wait at once",
        f"`nats://{settings.nats.host}:{settings.nats.port}`, HTTP on `http://{settings.http.host}:{settings.http.port}`",
    ):
        assert said in text, said
    assert f"`hub_event_loop_lag_seconds` stays above {awareness.STALL:g}" in prose(DEPLOY)


def test_the_readme_has_a_place_for_what_was_measured() -> None:
    before, begin, rest = README.read_text(encoding="utf-8").partition("<!-- measured:begin -->\n")
    assert begin
    assert "<!-- measured:end -->\n" in rest
    assert "## Measured" in before
