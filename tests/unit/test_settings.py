"""Settings: where they come from, which one wins, and what is said when one is wrong."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hub.errors import SettingsError
from hub.settings import Settings, load
from hub.settings.schema import settings

DOCUMENT = Path(__file__).parents[2] / "config" / "hub.toml"


def file(folder: Path, text: str) -> Path:
    path = folder / "hub.toml"
    path.write_text(text)
    return path


def refusal(path: Path | None = None, environ: dict[str, str] | None = None, **overrides: object) -> str:
    with pytest.raises(SettingsError) as caught:
        load(path, environ, {key.replace("__", "."): value for key, value in overrides.items()})
    return caught.value.message


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def documented() -> dict[str, Any]:
    """Every setting in config/hub.toml, with its `#` removed, by dotted key."""
    flat: dict[str, Any] = {}
    for name, value in tomllib.loads(re.sub(r"(?m)^#(?=[a-z_]+ = )", "", DOCUMENT.read_text())).items():
        flat |= {f"{name}.{key}": each for key, each in value.items()} if isinstance(value, dict) else {name: value}
    return flat


# --- the documentation


def test_every_setting_is_documented_and_nothing_else_is() -> None:
    assert set(documented()) == set(settings())


def test_documented_defaults_are_the_defaults() -> None:
    for key, value in documented().items():
        setting = settings()[key]
        if setting.default is not None:  # an example stands for a default of none
            assert setting.convert(value) == setting.default, key
        else:
            assert setting.convert(value), key


def test_each_setting_is_documented_with_a_comment_and_its_variables() -> None:
    text = DOCUMENT.read_text()
    for key, setting in settings().items():
        name = key.rpartition(".")[2]
        section = key.rpartition(".")[0]
        inside = text.split(f"[{section}]\n")[1] if section else text
        block = next(b for b in inside.split("\n\n") if re.search(rf"(?m)^#{name} = ", b))
        assert f"[{', '.join(reversed(setting.variables))}]" in block.replace("\n# ", " "), key
        if setting.default is None:
            assert "Default: " in block, key


def test_the_documented_file_itself_changes_nothing() -> None:
    assert msgspec.structs.replace(load(DOCUMENT), file=None) == load()


def test_the_documented_file_with_all_it_documents_is_taken(tmp_path: Path) -> None:
    loaded = load(file(tmp_path, re.sub(r"(?m)^#(?=[a-z_]+ = )", "", DOCUMENT.read_text())))
    assert set(loaded.origins) == set(settings())


# --- where they come from


def test_without_anything_all_is_default() -> None:
    loaded = load()
    assert loaded.nats == Settings().nats
    assert loaded.http.port == 7000
    assert loaded.origin("http.port") == "default"
    assert loaded.origins == {}


def test_the_default_file_is_read_when_it_is_there(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "hub.toml").write_text("[http]\nport = 7001\n")
    assert load().http.port == 7001


def test_file_then_environment_then_command_line(tmp_path: Path) -> None:
    path = file(tmp_path, 'data_dir = "a"\n[http]\nport = 1\nhost = "file"\n[registry]\ndefault_ttl = 3\n')
    environ = {"HUB_HTTP_PORT": "2", "HUB_DATA_DIR": "b"}
    loaded = load(path, environ, {"http.port": 3, "log.level": None})
    assert (loaded.http.port, loaded.http.host, loaded.data_dir) == (3, "file", "b")
    assert loaded.registry.default_ttl == 3.0
    assert loaded.origin("http.port") == "command line"
    assert loaded.origin("http.host") == str(path)
    assert loaded.origin("data_dir") == "HUB_DATA_DIR"
    assert loaded.explain()["data_dir"] == "'b' (HUB_DATA_DIR)"


def test_a_variable_names_the_file_unless_the_command_line_does(tmp_path: Path) -> None:
    path = file(tmp_path, "[http]\nport = 1\n")
    assert load(None, {"HUB_CONFIG": str(path)}).http.port == 1
    other = tmp_path / "other.toml"
    other.write_text("[http]\nport = 2\n")
    assert load(other, {"HUB_CONFIG": str(path)}).http.port == 2


def test_the_names_of_the_platform_work() -> None:
    loaded = load(
        None,
        {
            "NATS_URL": "nats://a:4222, nats://b:4222",
            "DATABASE_URL": "postgresql://db/x",
            "CACHE_URL": "redis://cache",
            "KAFKA_BROKERS": "k1:9092,k2:9092",
            "NODE_ENV": "test",
            "LOG_LEVEL": "ERROR",
            "HOT_RELOAD_ENABLED": "no",
            "COMPONENT_WATCH_ENABLED": "0",
            "ENABLE_PERFORMANCE_METRICS": "False",
        },
    )
    platform = loaded.platform
    assert loaded.nats.url == ("nats://a:4222", "nats://b:4222")
    assert (platform.database_url, platform.cache_url) == ("postgresql://db/x", "redis://cache")
    assert (platform.kafka_brokers, platform.node_env) == (("k1:9092", "k2:9092"), "test")
    assert loaded.log.level == "error"
    switches = (platform.hot_reload_enabled, platform.component_watch_enabled, platform.performance_metrics)
    assert switches == (False, False, False)


def test_a_name_of_the_hub_goes_before_one_of_the_platform() -> None:
    loaded = load(None, {"HUB_NATS_URL": "nats://own", "NATS_URL": "nats://platform"})
    assert loaded.nats.url == ("nats://own",)
    assert loaded.origin("nats.url") == "HUB_NATS_URL"


@pytest.mark.parametrize("word", ["true", "1", "yes", "TRUE", "Yes", "on"])
def test_booleans_have_many_words_in_the_environment(word: str) -> None:
    environ = {"HUB_PLATFORM_HOT_RELOAD_ENABLED": word, "COMPONENT_WATCH_ENABLED": word}
    platform = load(None, environ).platform
    assert platform.hot_reload_enabled is platform.component_watch_enabled is True


def test_a_production_machine_logs_json_and_any_other_for_people() -> None:
    assert load(None, {"NODE_ENV": "production"}).log.format == "json"
    assert load(None, {"NODE_ENV": "development"}).log.format == "console"
    assert load().log.format == "console"
    assert load(None, {"NODE_ENV": "production", "HUB_LOG_FORMAT": "console"}).log.format == "console"


@pytest.mark.parametrize("level", ["warn", "WARNING", "Warning"])
def test_levels_are_taken_in_any_case(level: str, tmp_path: Path) -> None:
    assert load(None, {"LOG_LEVEL": level}).log.level == "warning"
    assert load(file(tmp_path, f'[log]\nlevel = "{level}"')).log.level == "warning"


def test_an_empty_variable_counts_as_not_set() -> None:
    assert load(None, {"HUB_HTTP_PORT": "", "NATS_URL": " "}) == load()


def test_variables_that_kubernetes_makes_of_a_service_named_hub_are_not_ours() -> None:
    links = {
        "HUB_SERVICE_HOST": "10.0.0.1",
        "HUB_SERVICE_PORT": "7000",
        "HUB_SERVICE_PORT_HTTP": "7000",
        "HUB_PORT": "tcp://10.0.0.1:7000",
        "HUB_PORT_7000_TCP": "tcp://10.0.0.1:7000",
        "HUB_PORT_7000_TCP_ADDR": "10.0.0.1",
        "HUB_NATS_SERVICE_HOST": "10.0.0.2",
        "HUB_NATS_PORT": "tcp://10.0.0.2:4222",
    }
    assert load(None, links) == load()


# --- what is refused


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[http]\nprot = 1", "{}: unknown key http.prot; did you mean http.port?"),
        ("drain_timeoutt = 1", "{}: unknown key drain_timeoutt; did you mean drain_timeout?"),
        ("port = 1", "{}: unknown key port; did you mean nats.port?"),
        ("[htpp]\nport = 1", "{}: unknown section htpp; did you mean http?"),
        ("http = 1", "{}: http: expected a table ([http]), got 1"),
        ('[http]\nport = "7000"', "{}: http.port: expected an integer, at least 0 and at most 65535, got '7000'"),
        ("[http]\nport = 65536", "{}: http.port: expected an integer, at least 0 and at most 65535, got 65536"),
        ("[http]\nport = true", "{}: http.port: expected an integer, at least 0 and at most 65535, got True"),
        ("[http.port]\nx = 1", "{}: http.port: expected an integer, at least 0 and at most 65535, got {{'x': 1}}"),
        ("drain_timeout = 0", "{}: drain_timeout: expected a number, more than 0, got 0"),
        ("drain_timeout = nan", "{}: drain_timeout: expected a number, more than 0, got nan"),
        ("drain_timeout = inf", "{}: drain_timeout: expected a number, more than 0, got inf"),
        ('data_dir = ""', "{}: data_dir: expected a string that is not empty, got ''"),
        ('[log]\nlevel = "loud"', '{}: log.level: expected one of "debug", "error", "info", "warning", got \'loud\''),
        ("[platform]\nhot_reload_enabled = 1", "{}: platform.hot_reload_enabled: expected true or false, got 1"),
        ("[http]\nport = ", "{}: line 2, column 8: not TOML: Invalid value"),
        ('data_dir = "x', "{}: line 1, column 14: not TOML: Unterminated string"),
    ],
)
def test_a_wrong_file_is_refused_by_place_expectation_and_finding(tmp_path: Path, text: str, message: str) -> None:
    path = file(tmp_path, text)
    assert refusal(path) == message.format(path)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "none.toml")
    assert "cannot be read" in refusal(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b'data_dir = "\xe9"')
    assert "expected UTF-8" in refusal(tmp_path / "latin.toml")
    assert "none.toml: no such file" in refusal(None, {"HUB_CONFIG": "none.toml"})


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"HUB_HTTP_PROT": "1"}, "environment: unknown variable HUB_HTTP_PROT; did you mean HUB_HTTP_PORT?"),
        ({"HUB_CONFG": "x"}, "environment: unknown variable HUB_CONFG; did you mean HUB_CONFIG?"),
        ({"HUB_ORIGINS": "x"}, "environment: unknown variable HUB_ORIGINS"),
        (
            {"HUB_HTTP_PORT": "7e3"},
            "environment: HUB_HTTP_PORT (http.port): expected an integer, at least 0 and at most 65535, got '7e3'",
        ),
        (
            {"HUB_REGISTRY_REMOVAL_SHARE": "2"},
            "environment: HUB_REGISTRY_REMOVAL_SHARE (registry.removal_share): "
            "expected a number, more than 0 and at most 1, got '2'",
        ),
        (
            {"HOT_RELOAD_ENABLED": "maybe"},
            "environment: HOT_RELOAD_ENABLED (platform.hot_reload_enabled): expected true or false, got 'maybe'",
        ),
        (
            {"NODE_ENV": "staging"},
            'environment: NODE_ENV (platform.node_env): expected one of "development", "production", "test", '
            "got 'staging'",
        ),
    ],
)
def test_a_wrong_variable_is_refused_by_its_name(environ: dict[str, str], message: str) -> None:
    assert refusal(None, environ) == message


@pytest.mark.parametrize("url", ["", ",", "h:4222", "http://h", "nats://", "nats://h:99999", "nats://h:x"])
def test_a_url_that_no_nats_client_takes_is_refused(url: str, tmp_path: Path) -> None:
    assert "nats.url: expected a list" in refusal(file(tmp_path, f'[nats]\nurl = ["{url}"]'))


def test_the_command_line_is_checked_too() -> None:
    assert refusal(http__port=70000).startswith("command line: http.port: expected an integer")
    assert refusal(http__prot=1) == "command line: unknown key http.prot; did you mean http.port?"


# --- secrets


SECRETS = {
    "HUB_NATS_URL": "nats://hub:hunter2@n1:4222,tls://hunter2token@n2:4222",
    "HUB_NATS_SYSTEM_URL": "nats://sys:hunter2@n1:4222",
    "DATABASE_URL": "postgresql://app:hunter2@with@at@db:5432/platform?sslpassword=hunter2",
    "CACHE_URL": "redis://:hunter2@cache:6379/0",
}


def test_passwords_are_not_shown_by_repr_str_or_explanation() -> None:
    loaded = load(None, SECRETS)
    for text in (repr(loaded), str(loaded), f"{loaded.nats}", repr(loaded.platform), str(loaded.explain())):
        assert "hunter2" not in text
    assert "nats://hub:***@n1:4222" in repr(loaded)
    assert "postgresql://app:***@db:5432/platform" in repr(loaded)
    assert loaded.nats.system_url == "nats://sys:hunter2@n1:4222"


def test_passwords_are_not_shown_by_errors(tmp_path: Path) -> None:
    assert "hunter2" not in refusal(None, {"NATS_URL": "hub:hunter2@n1:4222"})
    assert "hunter2" not in refusal(None, {"NATS_URL": "mqtt://hub:hunter2@n1:4222"})
    assert "hunter2" not in refusal(file(tmp_path, '[platform]\ndatabase_url = ["pg://u:hunter2@h"]'))
    assert "hunter2" not in refusal(file(tmp_path, '[nats]\nurl = {a = "nats://u:hunter2@h"}'))


# --- the key of secrets


def test_the_key_of_secrets_comes_from_the_environment_and_is_never_shown() -> None:
    loaded = load(None, {"HUB_SECRETS_KEY": "dG9wIHNlY3JldA=="})
    assert loaded.secrets.key == "dG9wIHNlY3JldA=="
    assert loaded.origin("secrets.key") == "HUB_SECRETS_KEY"
    assert loaded.explain() == {"secrets.key": "*** (HUB_SECRETS_KEY)"}
    assert "dG9wIHNlY3JldA" not in repr(loaded)


def test_the_key_of_secrets_stands_in_no_file_and_on_no_command_line(tmp_path: Path) -> None:
    assert "unknown key secrets.key" in refusal(file(tmp_path, '[secrets]\nkey = "dG9wIHNlY3JldA=="\n'))
    assert "unknown key secrets.key" in refusal(secrets__key="dG9wIHNlY3JldA==")


def test_a_key_and_a_file_of_keys_are_not_both_taken() -> None:
    message = refusal(environ={"HUB_SECRETS_KEY": "dG9wIHNlY3JldA==", "HUB_SECRETS_KEY_FILE": "keys"})
    assert message == (
        "environment: HUB_SECRETS_KEY: expected no key where secrets.key_file names a file (HUB_SECRETS_KEY_FILE)"
    )
