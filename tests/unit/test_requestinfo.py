"""Who made a request, read from what the server stamps on it."""

from __future__ import annotations

import pytest

from hub.errors import Unauthenticated
from hub.transport.requestinfo import Callers, is_of_services
from hub.transport.requestinfo import stamp as own_stamp
from hub.wire.roles import Caller, parse_caller

ENGINE = Caller(role="service", name="engine", instance="a1", host="10.0.0.7")


def stamp(acc: str = "SERVICES", user: str = "service:engine/a1", name: str = "x") -> bytes:
    text = f'{{"start":"2026-11-25T22:09:05Z","host":"10.0.0.7","id":11,"acc":"{acc}","user":"{user}","name":"{name}"}}'
    return b"Nats-Request-Info: " + text.encode() + b"\r\n"


def block(*lines: bytes) -> bytes:
    return b"NATS/1.0\r\n" + b"".join(lines) + b"\r\n"


def test_the_stamp_names_the_caller_and_that_there_is_nothing_else() -> None:
    callers = Callers()
    assert callers.caller(block(stamp())) == (ENGINE, False)
    assert callers.caller(block(stamp())) == (ENGINE, False), "the second look is answered from memory"


@pytest.mark.parametrize("before", [True, False])
def test_other_headers_are_told_of(before: bool) -> None:
    other = b"X-Request-Id: r1\r\n"
    lines = (other, stamp()) if before else (stamp(), other)
    assert Callers().caller(block(*lines)) == (ENGINE, True)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        block(),
        block(b"X-Request-Id: r1\r\n"),
        block(stamp(acc="HUB")),
        block(stamp(user="")),
        block(stamp(user="engine")),
        block(stamp(user="root:engine")),
        block(stamp(user="service:a b")),
        block(stamp(user="service:engine/a.1")),
        block(stamp(user="service:engine/")),
        block(stamp(user="operator:")),
        block(stamp(), stamp(user="operator:ada")),
        block(b"Nats-Request-Info: {\r\n"),
        block(b"Nats-Request-Info: [1]\r\n"),
        block(b"nats-request-info: " + stamp()[19:]),
        block(b"X-Nats-Request-Info: " + stamp()[19:]),
        block(b"X: Nats-Request-Info:" + stamp()[19:]),
    ],
)
def test_what_proves_nothing_is_refused(raw: bytes) -> None:
    with pytest.raises(Unauthenticated):
        Callers().caller(raw)


def test_a_connection_cannot_name_itself_into_another_account() -> None:
    raw = block(stamp(acc="HUB", name='\\",\\"acc\\":\\"SERVICES'))
    with pytest.raises(Unauthenticated):
        Callers().caller(raw)


def test_few_callers_are_remembered_of_many() -> None:
    callers = Callers()
    for number in range(10_000):
        callers.caller(block(stamp(user=f"service:engine/{number}")))
    assert len(callers._known) <= 4096


@pytest.mark.parametrize("text", ["service:engine", "service:engine/a1", "operator:ada@example.org", "external:hk_12"])
def test_a_caller_is_read_as_it_is_written(text: str) -> None:
    assert str(parse_caller(text)) == text


def test_what_came_from_the_services_is_told_from_what_did_not_without_reading_who() -> None:
    other = b'X: "acc":"SERVICES"\r\n'
    assert is_of_services(block(stamp()))
    assert is_of_services(block(other, stamp()))
    for refused in (
        b"",
        block(other),
        block(stamp(acc="HUB")),
        block(stamp(acc="HUB"), other),
        block(other, stamp(acc="HUB")),
        block(stamp(), stamp()),
        block(stamp(acc="HUB"), stamp()),
        block(stamp(acc="HUB", name='\\"acc\\":\\"SERVICES\\"')),
        block(b"X: Nats-Request-Info: {}\r\n"),
    ):
        assert not is_of_services(refused), refused


def test_a_hub_says_to_the_others_on_whose_behalf_it_speaks_as_the_server_would() -> None:
    [(name, value)] = own_stamp(ENGINE).items()
    raw = block(f"{name}: {value}\r\n".encode())
    assert is_of_services(raw)
    assert Callers().caller(raw) == (ENGINE, False)


def test_of_clients_that_call_themselves_at_length_nothing_is_remembered() -> None:
    callers = Callers()
    for number in range(10):
        assert callers.caller(block(stamp(name=f"{number}{'x' * 3000}")))[0].name == "engine"
    assert len(callers._known) == 0
    callers.caller(block(stamp()))
    assert len(callers._known) == 1
