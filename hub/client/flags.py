"""The feature flags of a client's own service, evaluated here, from the configuration that it runs with."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar, overload

import msgspec
from msgspec import UNSET, UnsetType

from hub.client.config import ClientConfig
from hub.core import flagreading
from hub.core.flags import NONE, Decision, Flags, Wanted, differing
from hub.core.layers import same
from hub.wire.flags import FLAGS, FlagError, FlagReason

log = logging.getLogger("hub.client")

T = TypeVar("T")
Handler = TypeVar("Handler", bound=Callable[[list[str]], object])

_NOT_LOADED = Decision(
    "ERROR",
    error="PROVIDER_NOT_READY",
    message="the configuration is not loaded: await client.config.load() first",
)


class Evaluation(NamedTuple, Generic[T]):
    """What a flag came to, and why."""

    key: str
    value: T
    variant: str | None
    """None where the default is served, and of a plain value."""
    reason: FlagReason
    rule: int | None
    """Which rule decided, from 0, as in the place of it in the configuration; None for none."""
    error_code: FlagError | None
    error_message: str
    revision: int
    """Of the configuration that it is evaluated from."""


class ClientFlags:
    """The feature flags of a client's own service: what stands in its configuration under `flags`.

    They follow the configuration, which has to be loaded once; from then on they are evaluated here, without a round
    trip, whoever is away. Nothing here raises: what cannot be evaluated is the default that is given, and `details`
    says why. It may be asked from any thread.

        await client.config.load()
        if client.flags.boolean("new-checkout", False, {"targetingKey": user.id, "country": "DE"}): ...

    A context has attributes as JSON has them; `targetingKey` names whom or what is decided about.

    Args:
        config: The configuration of the service.
    """

    def __init__(self, config: ClientConfig) -> None:
        self._config = config
        self._known: tuple[Flags, int] | None = None
        self._given: Any = None
        self._handlers: list[Callable[[list[str]], object]] = []
        config.heed(self._learn)

    @property
    def loaded(self) -> bool:
        """Whether the configuration is loaded."""
        return self._known is not None

    @property
    def revision(self) -> int:
        """The revision of the configuration that flags are evaluated from; 0 where nothing is stored, or loaded."""
        return self._known[1] if self._known is not None else 0

    def boolean(self, key: str, default: bool, context: Mapping[str, Any] | None = None) -> bool:
        """The value of a flag that is true or false."""
        value: bool | UnsetType = self._decided(key, "boolean", context).value
        return default if value is UNSET else value

    def string(self, key: str, default: str, context: Mapping[str, Any] | None = None) -> str:
        """The value of a flag that is a text."""
        value: str | UnsetType = self._decided(key, "string", context).value
        return default if value is UNSET else value

    def integer(self, key: str, default: int, context: Mapping[str, Any] | None = None) -> int:
        """The value of a flag that is a number; one with a fraction is a TYPE_MISMATCH."""
        value: int | UnsetType = self._decided(key, "integer", context).value
        return default if value is UNSET else value

    def number(self, key: str, default: float, context: Mapping[str, Any] | None = None) -> float:
        """The value of a flag that is a number, as a float."""
        value: float | UnsetType = self._decided(key, "number", context).value
        return default if value is UNSET else value

    @overload
    def object(self, key: str, default: dict[str, Any], context: Mapping[str, Any] | None = None) -> dict[str, Any]: ...

    @overload
    def object(self, key: str, default: list[Any], context: Mapping[str, Any] | None = None) -> list[Any]: ...

    def object(self, key: str, default: Any, context: Mapping[str, Any] | None = None) -> Any:
        """The value of a flag that is an object or a list: a copy. Whether it is as the default is, nobody looks."""
        value = self._decided(key, "object", context).value
        return default if value is UNSET else _copied(value)

    def details(
        self, key: str, default: T, context: Mapping[str, Any] | None = None, *, wanted: Wanted | None = None
    ) -> Evaluation[T]:
        """The value of a flag, and why it has it.

        Args:
            key: The flag.
            default: What is served where the flag cannot be evaluated, or is disabled.
            context: The attributes of whom or what is asked about.
            wanted: Of which type the value has to be; that of the default where nothing is said.
        """
        kind = wanted or _kind(default)
        if kind is None:
            message = f"no flag is of the type of the default, {type(default).__name__}"
            decision = Decision("ERROR", error="TYPE_MISMATCH", message=message)
        else:
            decision = self._decided(key, kind, context)
        value = decision.value
        if value is UNSET:
            value = default
        elif kind == "object":
            value = _copied(value)
        return Evaluation(
            key=key,
            value=value,
            variant=decision.variant,
            reason=decision.reason,
            rule=decision.rule,
            error_code=decision.error,
            error_message=decision.message,
            revision=self.revision,
        )

    def on_change(self, handler: Handler) -> Handler:
        """Have `handler` called with the names of those flags that are not defined any more as they were.

        Good as a decorator. It is called in the client's event loop, the first time when the configuration is loaded,
        and then with all flags. What it raises is logged.
        """
        self._handlers.append(handler)
        return handler

    def forget(self, handler: Callable[[list[str]], Any]) -> None:
        """Call the handler no more."""
        self._handlers.remove(handler)

    def _decided(self, key: str, wanted: Wanted, context: Any) -> Decision:
        known = self._known
        if known is None:
            return _NOT_LOADED
        if context is None:
            context = {}
        elif type(context) is not dict and not isinstance(context, Mapping):
            got = type(context).__name__
            return Decision("ERROR", error="INVALID_CONTEXT", message=f"expected a mapping of attributes, got {got}")
        try:
            return known[0].decide(key, wanted, context)
        except Exception as error:  # noqa: BLE001  # a mapping, or a value in it, of somebody's own making
            return Decision("ERROR", error="GENERAL", message=f"{type(error).__name__}: {error}")

    def _learn(self) -> None:
        """The service runs with another configuration."""
        before, given = self._known, (self._config.values or {}).get(FLAGS)
        if before is not None and same(given, self._given):
            self._known = before[0], self._config.revision
            return
        self._given, flags = given, flagreading.read(given)
        self._known = flags, self._config.revision
        changed = differing(before[0] if before else NONE, flags)
        for name in changed:
            if name in flags.broken:
                log.error("flag %s cannot be evaluated: %s", name, flags.broken[name])
        if before is not None and not changed:
            return  # one is taken away by a layer that no other layer has
        for handler in list(self._handlers):
            try:
                handler(changed)
            except Exception:
                log.exception("a handler that was told of changed flags failed")


def _kind(default: object) -> Wanted | None:
    if isinstance(default, bool):
        return "boolean"
    if isinstance(default, str):
        return "string"
    if isinstance(default, int):
        return "integer"
    if isinstance(default, float):
        return "number"
    return "object" if isinstance(default, Mapping | list | tuple) else None


def _copied(value: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value))
