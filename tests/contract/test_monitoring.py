"""What deploy/ gives Prometheus and Grafana asks only for what the hub tells, and is documented."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple, get_args

import pytest

from hub.core.adoption import Skip
from hub.errors import BY_CODE, DeadlineExceeded
from hub.store import watcher
from hub.telemetry.catalogue import CATALOGUE
from hub.telemetry.meter import OK
from hub.wire.channels import CHANNELS
from hub.wire.names import Status
from tests.contract import promql
from tests.documents import DEPLOY, ROOT, rows

ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
ALERT_TESTS = ROOT / "deploy" / "prometheus" / "alerts.test.yml"
SCRAPING = ROOT / "deploy" / "prometheus" / "prometheus.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "central-hub.json"
JOB = "central-hub"

_RULE = re.compile(
    r"      - alert: (?P<name>\w+)\n"
    r"        expr: (?:>-\n(?P<long>(?: {10}.+\n)+)|(?P<short>.+)\n)"
    r"(?:        for: (?P<after>\w+)\n)?"
    r"        labels:\n          severity: (?P<severity>info|warning|critical)\n"
    r"        annotations:\n          summary: '(?P<summary>.+)'\n"
)


class Rule(NamedTuple):
    """One alert."""

    name: str
    expression: str
    after: str
    severity: str
    summary: str


def rules() -> list[Rule]:
    """The alerts, in their order. Whatever is not written as all others are is not accepted."""
    _, _, text = ALERTS.read_text(encoding="utf-8").partition("    rules:\n")
    assert _RULE.sub("", text) == "", "a rule was not read"
    return [
        Rule(
            each["name"],
            " ".join((each["short"] or each["long"]).split()),
            each["after"] or "at once",
            each["severity"],
            each["summary"],
        )
        for each in _RULE.finditer(text)
    ]


def panels() -> list[dict[str, Any]]:
    """The panels of the dashboard."""
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return found


def queries() -> list[tuple[str, str]]:
    """Every expression of the dashboard, with its panel's title."""
    return [(panel["title"], target["expr"]) for panel in panels() for target in panel["targets"]]


ASKED = [(rule.name, rule.expression) for rule in rules()] + queries()
each_expression = pytest.mark.parametrize(
    ("name", "expression"), ASKED, ids=[f"{number}-{name}" for number, (name, _) in enumerate(ASKED)]
)
_OF_PROMETHEUS = {"job", "instance"}


def _told() -> dict[str, set[str]]:
    """The labels of everything that can be asked for, by its name; a histogram is asked for in its parts."""
    told: dict[str, set[str]] = {"up": set(_OF_PROMETHEUS)}
    for metric in CATALOGUE:
        labels = _OF_PROMETHEUS.union(metric.labels)
        if metric.kind == "histogram":
            told[f"{metric.name}_bucket"] = labels | {"le"}
            told[f"{metric.name}_count"] = told[f"{metric.name}_sum"] = labels
        else:
            told[metric.name] = labels
    return told


TOLD = _told()
VALUES = {
    "status": set(get_args(Status)),
    "outcome": {OK, *BY_CODE},
    "subject": {channel.address for channel in CHANNELS},
    "reason": {value for name, value in vars(watcher).items() if name.isupper() and isinstance(value, str)},
}


@each_expression
def test_an_expression_asks_for_metrics_that_there_are_by_labels_that_they_have(name: str, expression: str) -> None:
    asked = promql.asked(expression)
    for each in asked:
        assert each.name in TOLD, f"{name}: there is no {each.name}"
        assert set(each.matchers) <= TOLD[each.name], f"{name}: {each.name} has no such label"
        assert "job" in each.matchers, f"{name}: {each.name} of whatever else Prometheus scrapes"
    assert promql.grouped(expression) <= set.union(*(TOLD[each.name] for each in asked)), name


@each_expression
def test_an_expression_asks_for_values_that_can_occur(name: str, expression: str) -> None:
    for each in promql.asked(expression):
        for label in each.matchers.keys() & VALUES.keys():
            operator, value = each.matchers[label]
            values = value.split("|") if operator in ("=~", "!~") else [value]
            assert set(values) <= VALUES[label], f"{name}: {label}"


@each_expression
def test_a_counter_is_asked_for_its_growth_and_nothing_else_is(name: str, expression: str) -> None:
    grows = r"(?:rate|increase)\("
    for each in promql.asked(expression):
        is_counter = each.name.endswith(("_total", "_bucket", "_count", "_sum"))
        of_growth = re.findall(rf"{grows}{each.name}\b", expression)
        assert len(of_growth) == (len(re.findall(rf"\b{each.name}\b", expression)) if is_counter else 0), name


def test_a_query_for_what_does_not_exist_would_be_noticed() -> None:
    asked = promql.asked('sum by (job, le) (rate(hub_gone_total{job="$job",status=~"a|b"}[5m])) / up > 0.5')
    assert [(each.name, each.matchers) for each in asked] == [
        ("hub_gone_total", {"job": ("=", "$job"), "status": ("=~", "a|b")}),
        ("up", {}),
    ]
    assert promql.grouped("sum by (job, le) (x) / on (zone) y") == {"job", "le", "zone"}
    assert "hub_gone_total" not in TOLD


def test_the_dashboard_shows_every_metric_of_the_hub() -> None:
    shown = {each.name for _, expression in queries() for each in promql.asked(expression)}
    assert {name for name in TOLD if name.startswith("hub_")} <= shown


def test_a_panel_says_what_it_shows_in_a_unit_and_in_a_place_of_its_own() -> None:
    taken: set[tuple[int, int]] = set()
    assert len({panel["id"] for panel in panels()}) == len({panel["title"] for panel in panels()}) == len(panels())
    for panel in panels():
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells


def test_the_dashboard_asks_whatever_prometheus_it_is_given() -> None:
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    variables = [variable["name"] for variable in dashboard["templating"]["list"]]
    assert variables == ["datasource", "job", "instance"]
    sources = re.findall(r'"uid": "(\$?[^"]+)"', DASHBOARD.read_text(encoding="utf-8"))
    assert set(sources) == {"${datasource}", dashboard["uid"]}


def test_the_alerts_are_those_of_the_readme() -> None:
    listed = rows(DEPLOY, "| alert | severity | after | when |")
    assert listed == [(f"`{rule.name}`", rule.severity, rule.after, rule.summary) for rule in rules()]


def test_every_reason_for_which_a_service_is_not_taken_in_is_explained() -> None:
    listed = rows(DEPLOY, "| reason | means |")
    assert [reason for reason, _ in listed] == [f"`{reason}`" for reason in get_args(Skip)]


def test_every_alert_is_tested_firing_and_silent() -> None:
    cases = re.findall(
        r"- alertname: (\w+)\n {8}eval_time: \w+\n {8}exp_alerts:(.*)\n", ALERT_TESTS.read_text(encoding="utf-8")
    )
    names = {rule.name for rule in rules()}
    assert {name for name, expected in cases if expected == " []"} == names
    assert {name for name, expected in cases if not expected} == names


def test_the_alerts_go_by_the_job_that_is_scraped() -> None:
    assert f"job_name: {JOB}\n" in SCRAPING.read_text(encoding="utf-8")
    for rule in rules():
        assert {each.matchers["job"] for each in promql.asked(rule.expression)} == {("=", JOB)}


def test_requests_fail_by_the_errors_that_are_the_hubs_own() -> None:
    [failing] = [rule for rule in rules() if rule.name == "HubRequestsFailing"]
    own = {code for code, error in BY_CODE.items() if error.status >= 500 and error.retryable}
    outcomes = [each.matchers["outcome"][1] for each in promql.asked(failing.expression) if "outcome" in each.matchers]
    assert [set(outcome.split("|")) for outcome in outcomes] == [own - {DeadlineExceeded.code}]
