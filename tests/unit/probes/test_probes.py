"""Which checks can be made here."""

from __future__ import annotations

import sys

import pytest

from hub.errors import Unsupported
from hub.probes import kafka_brokers, postgres_url, redis_url, unsupported
from hub.wire.checks import (
    Check,
    GrpcCheck,
    HttpCheck,
    NatsCheck,
    PostgresCheck,
    RedisCheck,
    TcpCheck,
    TtlCheck,
)

CHECKS: list[Check] = [
    HttpCheck(headers={"X-Probe": "1", "Host": "virtual.example"}),
    TcpCheck(),
    NatsCheck(subject="echo"),
    GrpcCheck(),
    RedisCheck(),
    PostgresCheck(),
    TtlCheck(),
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: type(check).__name__)
def test_every_check_can_be_made_with_everything_installed(check: Check) -> None:
    assert unsupported(check) is None


def test_only_grpc_checks_need_an_extra_and_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for library in ("grpclib", "redis", "asyncpg", "aiokafka"):
        monkeypatch.setitem(sys.modules, library, None)
    objections = {type(check): unsupported(check) for check in CHECKS}
    objection = objections.pop(GrpcCheck)
    assert objection is not None
    assert "central-hub[grpc]" in objection
    assert set(objections.values()) == {None}


def test_our_own_dependencies_need_their_extras_which_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for library in ("redis.asyncio", "asyncpg", "aiokafka.admin"):
        monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(Unsupported, match=r"central-hub\[databases\]") as refused:
        redis_url("redis://:hunter2@cache")
    assert "hunter2" not in str(refused.value)
    with pytest.raises(Unsupported, match=r"central-hub\[databases\]"):
        postgres_url("postgresql://u:hunter2@db/x")
    with pytest.raises(Unsupported, match=r"central-hub\[kafka\]"):
        kafka_brokers(["kafka:9092"])
