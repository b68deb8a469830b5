"""`access.toml`: what it declares, and every mistake in it with its place."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import nkeys  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import SettingsError
from hub.settings.access import AccessFile, Allow, Certificate, Identity, Issuer
from hub.settings.accessfile import is_user_nkey, load

_ROOT = Path(__file__).parents[2]
EXAMPLE = _ROOT / "config" / "static" / "access.toml"


def fresh(kind: int = nkeys.PREFIX_BYTE_USER) -> str:
    """The public half of a new nkey."""
    public: bytes = nkeys.from_seed(nkeys.encode_seed(os.urandom(32), kind)).public_key
    return public.decode()


KEY, OTHER = fresh(), fresh()


def loaded(folder: Path, text: str) -> AccessFile:
    path = folder / "access.toml"
    path.write_text(text)
    return load(path)


def mistakes(folder: Path, text: str) -> list[str]:
    """What is wrong with it, each by itself."""
    with pytest.raises(SettingsError) as refused:
        loaded(folder, text)
    place = f"{folder / 'access.toml'}: "
    assert refused.value.message.startswith(place)
    return refused.value.message.removeprefix(place).split("; ")


def test_a_file_that_is_not_there_declares_nothing(tmp_path: Path) -> None:
    assert load(tmp_path / "access.toml") == AccessFile()
    assert loaded(tmp_path, "") == AccessFile()


def test_what_is_written_is_what_is_declared(tmp_path: Path) -> None:
    found = loaded(
        tmp_path,
        f"""
        [[identity]]
        name = "engine"
        role = "service"
        nkey = "{KEY}"
        instance = "e1"

        [[identity]]
        name = "Ada L."
        role = "operator"
        nkey = "{OTHER}"

        [[issuer]]
        issuer = "platform"
        audience = "hub"
        algorithms = ["EdDSA", "RS256"]
        jwks = "https://login.example/keys"
        role = "reader"

        [[certificate]]
        san = "*.services.internal"
        role = "service"

        [[allow]]
        who = ["service:api-*", "*"]
        discover = ["trading-*"]
        lease = ["orders_db"]
        """.replace("Ada L.", "ada"),
    )
    assert found == AccessFile(
        identity=(
            Identity(name="engine", role="service", nkey=KEY, instance="e1"),
            Identity(name="ada", role="operator", nkey=OTHER),
        ),
        issuer=(
            Issuer(
                issuer="platform",
                audience="hub",
                algorithms=("EdDSA", "RS256"),
                jwks="https://login.example/keys",
                role="reader",
            ),
        ),
        certificate=(Certificate(san="*.services.internal", role="service"),),
        allow=(Allow(who=("service:api-*", "*"), discover=("trading-*",), lease=("orders_db",)),),
    )


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.0.1", "[::1]"])
def test_keys_may_come_from_this_machine_without_tls(tmp_path: Path, host: str) -> None:
    assert loaded(tmp_path, issuer(EDDSA, f'jwks = "http://{host}:8080/keys"')).issuer


def identity(**changes: str) -> str:
    given = {"name": "engine", "role": "service", "nkey": KEY, **changes}
    return "[[identity]]\n" + "".join(f'{key} = "{value}"\n' for key, value in given.items())


def issuer(*lines: str) -> str:
    return "\n".join(["[[issuer]]", 'issuer = "a"', 'audience = "b"', *lines])


ROLES = "service, reader, operator, bridge, external, prometheus"
EDDSA = 'algorithms = ["EdDSA"]'
WHO = "who: expected callers as in 'service:api-*' or 'external:partner'"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (identity(role="services"), [f"role: expected one of {ROLES}, got 'services' (did you mean service?)"]),
        (identity(name="Engine"), ["name: expected a DNS label, 1..63 of a-z, 0-9 and inner '-', got 'Engine'"]),
        (identity(name="nats"), ["name: expected a name that is not reserved for the hub itself, got 'nats'"]),
        (identity(instance="a.b"), ["instance: expected 1..64 of A-Z, a-z, 0-9, _ and -, got 'a.b'"]),
        (
            identity(role="reader", instance="a"),
            ["instance: expected none for the role 'reader', since only services have instances"],
        ),
        (
            identity(role="reader", name="a b"),
            ["name: expected 1..128 printable characters without spaces, got 'a b'"],
        ),
        (
            identity(nkey=KEY[:-1] + ("A" if KEY[-1] != "A" else "B")),
            ["nkey: expected the public nkey of a user, U and 55 of A-Z and 2-7, got none of these"],
        ),
        (
            identity(nkey=fresh(nkeys.PREFIX_BYTE_ACCOUNT)),
            ["nkey: expected the public nkey of a user, U and 55 of A-Z and 2-7, got none of these"],
        ),
        (identity(colour="red"), ["unknown key colour"]),
        (identity(nkye="x"), ["unknown key nkye (did you mean nkey?)"]),
        (
            '[[identity]]\nname = 3\nrole = ""\n',
            [
                "name: expected a text, got 3",
                "role: expected a text that is not empty, got ''",
                "nkey: expected a value, got none (it is required)",
            ],
        ),
        (issuer("algorithms = []"), ["algorithms: expected at least one of EdDSA, RS256, HS256, got none"]),
        (issuer('algorithms = ["none"]'), ["algorithms: expected one of EdDSA, RS256, HS256 in it, got ['none']"]),
        (
            issuer('algorithms = ["HS256", "RS256"]', 'secret_file = "s"'),
            [
                "algorithms: expected HS256 alone: with a public key beside it, that key would pass for the shared "
                "secret"
            ],
        ),
        (
            issuer('algorithms = ["HS256"]', 'jwks = "keys.json"'),
            [
                "jwks: expected none with HS256, whose secret is in secret_file",
                "secret_file: expected the file with the shared secret of HS256, got none",
            ],
        ),
        (
            issuer(EDDSA, 'secret_file = "s"'),
            [
                "secret_file: expected none with EdDSA, whose keys are in jwks",
                "jwks: expected a file or an https URL with the public keys, got none",
            ],
        ),
        (
            issuer(EDDSA, 'jwks = "http://login.example/keys"'),
            ["jwks: expected a file, or an https URL without a login (http for a host that is loopback), got another"],
        ),
        (
            issuer(EDDSA, 'jwks = "https://a:geheim@login.example/keys"'),
            ["jwks: expected a file, or an https URL without a login (http for a host that is loopback), got another"],
        ),
        (issuer(EDDSA, 'jwks = "k"', 'jwks_ca = "c"'), ["jwks_ca: expected none, since jwks is no https URL"]),
        (issuer(EDDSA, 'jwks = "k"', "roles = []"), ["roles: expected at least one, got none"]),
        (issuer(EDDSA, 'jwks = "k"', 'roles = ["boss"]'), [f"roles: expected one of {ROLES}, got 'boss'"]),
        (
            issuer(EDDSA, 'jwks = "k"', 'role = "operator"'),
            ["role: expected one of roles (service, reader), got 'operator'"],
        ),
        (issuer(EDDSA, 'jwks = "k"', "leeway = 900"), ["leeway: expected float <= 300.0, got 900"]),
        (
            '[[certificate]]\nsan = "a.b"\nrole = "service"',
            ["name: expected a name, or a * in san for it, got neither"],
        ),
        ("[[allow]]\nwho = []\ndiscover = ['*']", [f"{WHO}, got none"]),
        ("[[allow]]\nwho = 'x'\ndiscover = ['*']", ["who: expected a list, got 'x'"]),
        (
            "[[allow]]\nwho = ['engine']\ndiscover = ['*']",
            [f"{WHO}, with a role of {ROLES}, got 'engine'"],
        ),
        (
            "[[allow]]\nwho = ['services:*']\ndiscover = ['*']",
            [f"{WHO}, with a role of {ROLES}, got 'services:*'"],
        ),
        ("[[allow]]\nwho = ['*']", ["expected at least one of discover, config, lease, got none: it allows nothing"]),
        (
            "[[allow]]\nwho = ['*']\ndiscover = ['']",
            ["discover: expected a text that is not empty in it, got ['']"],
        ),
        (
            "[[allow]]\nwho = ['*']\nconfig = ['a.b', '_all']",
            [
                "config: expected names of services, with * for any characters, got 'a.b'",
                "config: expected names of services, with * for any characters, got '_all'",
            ],
        ),
    ],
)
def test_a_mistake_is_told_with_its_line_its_key_and_what_was_expected(
    tmp_path: Path, text: str, expected: list[str]
) -> None:
    kind = text.partition("]]")[0].removeprefix("[[")
    assert mistakes(tmp_path, text) == [f"line 1, [[{kind}]]: {each}" for each in expected]


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    text = f"{identity(role='boss')}\n\n# a comment\n{identity(name='X', nkey=OTHER)}\n[[allows]]\n[[issuer]]\n"
    assert mistakes(tmp_path, text) == [
        "line 14, [[issuer]]: issuer: expected a value, got none (it is required)",
        "line 14, [[issuer]]: audience: expected a value, got none (it is required)",
        "line 14, [[issuer]]: algorithms: expected a value, got none (it is required)",
        "unknown key allows (did you mean allow?)",
        f"line 1, [[identity]]: role: expected one of {ROLES}, got 'boss'",
        "line 8, [[identity]]: name: expected a DNS label, 1..63 of a-z, 0-9 and inner '-', got 'X'",
    ]


def test_what_would_stand_for_two_at_once_is_a_mistake(tmp_path: Path) -> None:
    text = identity() + identity(name="ledger")
    assert mistakes(tmp_path, text) == [
        "line 5, [[identity]]: nkey: expected each once, got that of line 1, [[identity]] again"
    ]
    same = issuer(EDDSA, 'jwks = "k"') + "\n"
    assert mistakes(tmp_path, same + same) == [
        "line 6, [[issuer]]: issuer and audience: expected each once, got that of line 1, [[issuer]] again"
    ]
    certificate = '[[certificate]]\nsan = "a.b"\nrole = "reader"\nname = "x"\n'
    assert mistakes(tmp_path, certificate * 2) == [
        "line 5, [[certificate]]: san: expected each once, got that of line 1, [[certificate]] again"
    ]


def test_a_seed_in_place_of_a_public_key_is_named_and_never_shown(tmp_path: Path) -> None:
    seed = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER).decode()
    (mistake,) = mistakes(tmp_path, identity(nkey=seed))
    assert mistake.endswith(
        "nkey: expected the public half (U...), got what looks like the seed: that is for its owner alone"
    )
    assert seed not in mistake
    text = identity().replace(f'"{KEY}"', f'["{seed}"]')
    assert seed not in mistakes(tmp_path, text)[0]


def test_entries_that_are_written_inline_are_counted(tmp_path: Path) -> None:
    text = f'identity = [{{name = "engine", role = "x", nkey = "{KEY}"}}]'
    assert mistakes(tmp_path, text) == [f"identity[0]: role: expected one of {ROLES}, got 'x'"]
    assert mistakes(tmp_path, "identity = 3") == ["identity: expected [[identity]] entries, got 3"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"[[identity]]\nname = ", "line 2, column 8: not TOML: Invalid value"),
        (b"\xff", "expected UTF-8, got something else at byte 0"),
    ],
)
def test_a_file_that_is_no_toml_is_told_with_its_place(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "access.toml"
    path.write_bytes(content)
    with pytest.raises(SettingsError) as refused:
        load(path)
    assert refused.value.message == f"{path}: {expected}"


def test_a_folder_in_its_place_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load(tmp_path)


@given(st.binary(min_size=32, max_size=32))
def test_the_public_nkey_of_a_user_is_known_by_its_checksum(entropy: bytes) -> None:
    public: str = nkeys.from_seed(nkeys.encode_seed(entropy, nkeys.PREFIX_BYTE_USER)).public_key.decode()
    assert is_user_nkey(public)
    broken = ("B" if public[10] != "B" else "C").join((public[:10], public[11:]))
    assert not is_user_nkey(broken)
    assert not is_user_nkey(public[:-8])
    assert not is_user_nkey(public.lower())


@given(st.text(max_size=60))
def test_no_text_is_mistaken_for_one_or_breaks_the_check(text: str) -> None:
    assert not is_user_nkey(text)


def test_the_file_in_config_says_all_that_can_be_said_and_is_right(tmp_path: Path) -> None:
    """Uncommented, it is a file that can be read and that has every key there is."""
    text = EXAMPLE.read_text()
    assert load(EXAMPLE) == AccessFile(), "as it is, it declares nothing"
    lines = [line.removeprefix("#") for line in text.splitlines() if not line.startswith(("# ", "#\n")) and line != "#"]
    found = loaded(tmp_path, "\n".join(lines))
    assert all(getattr(found, kind) for kind in AccessFile.__struct_fields__)
    given = tomllib.loads("\n".join(lines))
    for kind, entry in (("identity", Identity), ("issuer", Issuer), ("certificate", Certificate), ("allow", Allow)):
        keys = {key for each in given[kind] for key in each}
        assert keys == set(entry.__struct_fields__), kind
