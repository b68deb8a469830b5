"""The OpenFeature provider: services ask by the standard API, and are answered by the SDK.

The only module that knows OpenFeature, of the extra `openfeature`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeVar, cast

from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEventDetails
from openfeature.exception import ErrorCode, ProviderNotReadyError
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType, Reason
from openfeature.hook import Hook
from openfeature.provider import AbstractProvider, Metadata

from hub.client.client import CentralHubClient
from hub.core.flags import Wanted
from hub.errors import HubError
from hub.wire.flags import TARGETING_KEY

T = TypeVar("T")
Boxed = Sequence[FlagValueType] | Mapping[str, FlagValueType]

NAME: Final = "central-hub"
_PATIENCE: Final = 30.0
"""Seconds that loading may take at the very most: it bounds itself by the client's `timeout`."""
_State = Literal["new", "initializing", "waiting", "ready"]


class CentralHubProvider(AbstractProvider):
    """Resolves flags from the configuration of a client's service, locally: neither asking nor waiting for anybody.

        async with CentralHubClient("my-service", port=8080) as client:
            await client.config.load()
            api.set_provider(CentralHubProvider(client))
            api.get_client().get_boolean_value("new-checkout", False, EvaluationContext("user-1"))

    It is ready once the client's configuration is loaded. Made within the client's event loop and set by
    `set_provider`, it has it loaded where that was not done; nobody can wait for that within the event loop itself.
    It says so when flags change and which; is stale while changes may be missing, and ready again when they are not.

    Args:
        client: Whose flags they are. It may be opened later, is not closed by the provider, and outlives it.
    """

    def __init__(self, client: CentralHubClient) -> None:
        super().__init__()
        self._client = client
        self._loop = _running_loop()
        self._state: _State = "new"

    def get_metadata(self) -> Metadata:
        """Who this is."""
        return Metadata(name=NAME)

    def get_provider_hooks(self) -> list[Hook]:
        """None: what is to be done around an evaluation is for the service."""
        return []

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        """Begin to follow the flags, and have them loaded where that was not done and can be waited for.

        Raises:
            ProviderNotReadyError: they are not loaded; the provider tells when they are.
        """
        self._listen()
        self._state = "initializing"
        try:
            if not self._client.flags.loaded:
                self._load()
        except Exception:
            self._state = "waiting"
            raise
        self._state = "ready"

    def shutdown(self) -> None:
        """Follow the flags no more."""
        if self._state != "new":
            self._state = "new"
            self._client.flags.forget(self._on_change)
            self._client.config.staleness.forget(self._on_stale)

    # --- resolving

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        """The value of a flag that is true or false."""
        return self._resolved(flag_key, "boolean", default_value, evaluation_context)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """The value of a flag that is a text."""
        return self._resolved(flag_key, "string", default_value, evaluation_context)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """The value of a flag that is a number without a fraction."""
        return self._resolved(flag_key, "integer", default_value, evaluation_context)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """The value of a flag that is a number."""
        return self._resolved(flag_key, "number", default_value, evaluation_context)

    def resolve_object_details(
        self, flag_key: str, default_value: Boxed, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[Boxed]:
        """The value of a flag that is an object or a list."""
        return self._resolved(flag_key, "object", default_value, evaluation_context)

    def _resolved(
        self, key: str, wanted: Wanted, default: T, asked: EvaluationContext | None
    ) -> FlagResolutionDetails[T]:
        found = self._client.flags.details(key, default, _context(asked), wanted=wanted)
        said: dict[str, bool | int | float | str] = {"revision": found.revision}
        if found.rule is not None:
            said["rule"] = found.rule
        return FlagResolutionDetails(
            value=found.value,
            variant=found.variant,
            reason=Reason(found.reason),
            error_code=ErrorCode(found.error_code) if found.error_code else None,
            error_message=found.error_message or None,
            flag_metadata=said,
        )

    # --- following

    def _listen(self) -> None:
        if self._state == "new":
            self._client.flags.on_change(self._on_change)
            self._client.config.staleness.tell(self._on_stale)

    def _load(self) -> None:
        """Have the configuration loaded in the client's event loop, and wait for it in this thread.

        Raises:
            ProviderNotReadyError: it cannot be waited for here, or cannot be loaded.
        """
        if self._loop is None or self._loop.is_closed() or _running_loop() is not None:
            raise ProviderNotReadyError("the configuration is not loaded: await client.config.load() first")
        loading = asyncio.run_coroutine_threadsafe(self._client.config.load(), self._loop)
        try:
            loading.result(_PATIENCE)
        except (HubError, TimeoutError) as error:
            loading.cancel()
            raise ProviderNotReadyError(f"the configuration cannot be loaded: {error}") from error

    def _on_change(self, names: list[str]) -> None:
        details = ProviderEventDetails(flags_changed=names, metadata={"revision": self._client.flags.revision})
        if self._state == "ready":
            self.emit_provider_configuration_changed(details)
        elif self._state == "waiting":
            self._state = "ready"
            self.emit_provider_ready(details)

    def _on_stale(self, stale: bool) -> None:
        if self._state != "ready":
            return
        if stale:
            self.emit_provider_stale(ProviderEventDetails(message="changes may be missing"))
        else:
            self.emit_provider_ready(ProviderEventDetails())


def _context(asked: EvaluationContext | None) -> dict[str, Any] | None:
    if asked is None:
        return None
    attributes = cast("dict[str, Any]", asked.attributes)
    return attributes if asked.targeting_key is None else {**attributes, TARGETING_KEY: asked.targeting_key}


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
