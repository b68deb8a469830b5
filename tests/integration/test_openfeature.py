"""The OpenFeature provider under the real OpenFeature SDK, against a real NATS."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import EventDetails, ProviderEvent
from openfeature.exception import ErrorCode, ProviderNotReadyError
from openfeature.flag_evaluation import FlagEvaluationDetails, Reason
from openfeature.hook import Hook, HookContext, HookHints
from openfeature.provider import ProviderStatus

from hub.client.openfeature import NAME, CentralHubProvider
from tests.clients import consumer
from tests.integration.test_client_config import Store, opened
from tests.integration.test_client_flags import FLAGS
from tests.servers import NatsServer
from tests.waiting import until

pytestmark = pytest.mark.xdist_group("openfeature")

GERMAN = EvaluationContext("user-1", {"country": "DE"})


class Heard:
    """The events of our provider that OpenFeature has told of, in their order."""

    def __init__(self) -> None:
        self.events: list[tuple[ProviderEvent, EventDetails]] = []
        for event in ProviderEvent:
            api.add_handler(event, self._hears(event))

    def _hears(self, event: ProviderEvent) -> Callable[[EventDetails], None]:
        def hear(details: EventDetails) -> None:
            if details.provider_name == NAME:
                self.events.append((event, details))

        return hear

    @property
    def kinds(self) -> list[str]:
        return [event.value.removeprefix("PROVIDER_") for event, _ in self.events]

    def last(self) -> EventDetails:
        return self.events[-1][1]


@pytest.fixture
def heard() -> Iterator[Heard]:
    api.clear_providers()
    yield Heard()
    api.clear_providers()


@pytest.fixture
async def store(nats_server: NatsServer) -> AsyncIterator[Store]:
    async with opened(nats_server.url) as opened_store:
        yield opened_store


async def ready(client: OpenFeatureClient) -> None:
    await until(lambda: client.get_provider_status() is ProviderStatus.READY, "the provider is ready")


async def test_every_type_is_resolved_by_the_standard_api(nats_server: NatsServer, store: Store, heard: Heard) -> None:
    revision = await store.put("some-consumer", {"flags": FLAGS})
    async with consumer(nats_server.url) as client:
        await client.config.load()
        api.set_provider_and_wait(CentralHubProvider(client))
        features = api.get_client()
        assert api.get_provider_metadata().name == NAME == "central-hub"
        assert features.get_boolean_value("new-checkout", False, GERMAN) is True
        assert features.get_string_value("greeting", "") == "hello"
        assert features.get_integer_value("workers", 1) == 8
        assert features.get_float_value("ratio", 1.0) == 3.0
        assert features.get_object_value("limits", {}) == {"max": [1, 2]}
        details = features.get_boolean_details("new-checkout", False, GERMAN)
        assert (details.variant, details.reason) == ("on", Reason.TARGETING_MATCH)
        assert details.flag_metadata == {"revision": revision, "rule": 0}
        assert features.get_boolean_details("new-checkout", False, EvaluationContext("u1")).reason == Reason.SPLIT
        assert features.get_boolean_details("dark-mode", False).reason == Reason.STATIC
        assert features.get_boolean_details("new-checkout", True).reason == Reason.DEFAULT
        assert features.get_boolean_details("off", True, GERMAN).reason == Reason.DISABLED


async def test_every_type_is_resolved_asynchronously_as_well(
    nats_server: NatsServer, store: Store, heard: Heard
) -> None:
    await store.put("some-consumer", {"flags": FLAGS})
    async with consumer(nats_server.url) as client:
        await client.config.load()
        api.set_provider_and_wait(CentralHubProvider(client))
        features = api.get_client()
        assert await features.get_boolean_value_async("new-checkout", False, GERMAN) is True
        assert await features.get_string_value_async("greeting", "") == "hello"
        assert await features.get_integer_value_async("workers", 1) == 8
        assert await features.get_float_value_async("ratio", 1.0) == 3.0
        assert await features.get_object_value_async("limits", {}) == {"max": [1, 2]}


async def test_errors_have_the_standard_codes_and_the_default(
    nats_server: NatsServer, store: Store, heard: Heard
) -> None:
    await store.put("some-consumer", {"flags": {"a": True, "bad": {"is": 1}}})
    async with consumer(nats_server.url) as client:
        await client.config.load()
        api.set_provider_and_wait(CentralHubProvider(client))
        features = api.get_client()
        for key, code in (("no", ErrorCode.FLAG_NOT_FOUND), ("bad", ErrorCode.PARSE_ERROR)):
            details = features.get_boolean_details(key, True)
            assert (details.value, details.reason, details.error_code) == (True, Reason.ERROR, code)
            assert details.error_message
        assert features.get_string_details("a", "x").error_code == ErrorCode.TYPE_MISMATCH


async def test_the_context_of_the_api_and_hooks_of_the_service_are_heeded(
    nats_server: NatsServer, store: Store, heard: Heard
) -> None:
    seen: list[str | None] = []

    class Seeing(Hook):
        def after(self, hook_context: HookContext, details: FlagEvaluationDetails[Any], hints: HookHints) -> None:
            seen.append(details.variant)

    await store.put("some-consumer", {"flags": FLAGS})
    async with consumer(nats_server.url) as client:
        await client.config.load()
        provider = CentralHubProvider(client)
        assert provider.get_provider_hooks() == []
        api.set_provider_and_wait(provider)
        api.set_evaluation_context(EvaluationContext(attributes={"country": "DE"}))
        try:
            features = api.get_client()
            features.add_hooks([Seeing()])
            assert features.get_boolean_value("new-checkout", False, EvaluationContext("user-1")) is True
        finally:
            api.set_evaluation_context(EvaluationContext())
        assert seen == ["on"]


async def test_a_provider_loads_the_configuration_by_itself_where_that_can_be_waited_for(
    nats_server: NatsServer, store: Store, heard: Heard
) -> None:
    await store.put("some-consumer", {"flags": FLAGS})
    async with consumer(nats_server.url) as client:
        api.set_provider(CentralHubProvider(client))
        await ready(api.get_client())
        assert client.flags.loaded
        assert api.get_client().get_boolean_value("dark-mode", False) is True
        await until(lambda: heard.kinds == ["READY"])


async def test_a_provider_that_cannot_wait_is_not_ready_until_the_service_has_loaded_its_configuration(
    nats_server: NatsServer, store: Store, heard: Heard
) -> None:
    await store.put("some-consumer", {"flags": FLAGS})
    async with consumer(nats_server.url) as client:
        with pytest.raises(ProviderNotReadyError):
            api.set_provider_and_wait(CentralHubProvider(client))
        details = api.get_client().get_boolean_details("dark-mode", False)
        assert (details.value, details.error_code) == (False, ErrorCode.PROVIDER_NOT_READY)
        await client.config.load()
        await ready(api.get_client())
        assert api.get_client().get_boolean_value("dark-mode", False) is True
        await until(lambda: heard.kinds == ["ERROR", "READY"])


async def test_where_nobody_can_be_asked_the_provider_says_so_and_is_ready_once_somebody_can(
    nats_server: NatsServer, store: Store, heard: Heard
) -> None:
    await store.put("some-consumer", {"flags": FLAGS})
    async with consumer(nats_server.url, timeout=0.3) as client:
        nats_server.kill()
        await until(lambda: not client.connected)
        api.set_provider(CentralHubProvider(client))
        await until(lambda: heard.kinds == ["ERROR"])
        assert "could not be read" in (heard.last().message or "")
        nats_server.start()
        await until(lambda: client.connected)
        await client.config.load()
        await ready(api.get_client())
        assert api.get_client().get_boolean_value("dark-mode", False) is True


async def test_changed_flags_are_told_by_name(nats_server: NatsServer, store: Store, heard: Heard) -> None:
    await store.put("some-consumer", {"flags": {"a": True, "b": 1}})
    async with consumer(nats_server.url) as client:
        await client.config.load()
        api.set_provider_and_wait(CentralHubProvider(client))
        revision = await store.put("some-consumer", {"flags": {"a": False, "b": 1, "c": "x"}})
        await until(lambda: heard.kinds == ["READY", "CONFIGURATION_CHANGED"])
        assert heard.last().flags_changed == ["a", "c"]
        assert heard.last().metadata == {"revision": revision}
        assert heard.last().provider_name == "central-hub"
        assert api.get_client().get_boolean_value("a", True) is False


async def test_a_provider_is_stale_while_nats_is_away_and_still_answers(
    nats_server: NatsServer, store: Store, heard: Heard
) -> None:
    await store.put("some-consumer", {"flags": FLAGS})
    async with consumer(nats_server.url) as client:
        await client.config.load()
        api.set_provider_and_wait(CentralHubProvider(client))
        nats_server.kill()
        await until(lambda: heard.kinds == ["READY", "STALE"])
        assert api.get_client().get_provider_status() is ProviderStatus.STALE
        assert api.get_client().get_boolean_value("dark-mode", False) is True
        nats_server.start()
        await until(lambda: heard.kinds == ["READY", "STALE", "READY"])
    await until(lambda: heard.kinds[-1] == "STALE", "a closed client is stale")


async def test_a_provider_that_was_shut_down_follows_nothing_any_more(
    nats_server: NatsServer, store: Store, heard: Heard
) -> None:
    await store.put("some-consumer", {"flags": {"a": True}})
    async with consumer(nats_server.url) as client:
        await client.config.load()
        provider = CentralHubProvider(client)
        api.set_provider_and_wait(provider)
        await until(lambda: heard.kinds == ["READY"])
        api.shutdown()
        provider.shutdown()
        revision = await store.put("some-consumer", {"flags": {"a": False}})
        await until(lambda: client.flags.revision == revision)
        assert heard.kinds == ["READY"]
        assert client.connected


async def test_a_thread_of_the_service_asks_like_any_other(nats_server: NatsServer, store: Store, heard: Heard) -> None:
    await store.put("some-consumer", {"flags": FLAGS})
    async with consumer(nats_server.url) as client:
        await client.config.load()
        api.set_provider_and_wait(CentralHubProvider(client))
        found: list[bool] = []
        thread = threading.Thread(
            target=lambda: found.append(api.get_client().get_boolean_value("new-checkout", False, GERMAN))
        )
        thread.start()
        await asyncio.to_thread(thread.join)
        assert found == [True]
