"""Every error that Central Hub raises or puts on the wire: one base, one class per cause a caller can act on."""

from __future__ import annotations

from typing import ClassVar


class HubError(Exception):
    """Base of all Central Hub errors.

    Attributes:
        code: Stable machine-readable code; the `error.code` of an error reply.
        status: HTTP-like number; the `Nats-Service-Error-Code` header of an error reply.
        retryable: Whether the same request may succeed later without being changed.
        message: One sentence: what was wrong, where, what was expected.
        field: Path of the offending field in the request (`checks[0].interval`), or None.
        request_id: The id of the request that failed, by which the hub's log can be searched; empty where it has none.
        retry_after: Seconds after which the same request may succeed; None where nobody can tell.
    """

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, field: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.request_id = ""
        self.retry_after = retry_after


class InternalError(HubError):
    """The hub failed in a way that is its own fault; the log says more."""

    retryable = True


class InvalidRequest(HubError):
    """The message is not what the contract says; sending it again will not help."""

    code = "invalid_request"
    status = 400


class InvalidConfig(HubError):
    """What a service would run with is not as its schema wants it; the message names every place."""

    code = "invalid_config"
    status = 422


class Unauthenticated(HubError):
    """Nothing proves who asks: no login, or one that is unknown, expired or revoked. Why is in the hub's log alone."""

    code = "unauthenticated"
    status = 401


class Forbidden(HubError):
    """Who asks may not have what is asked for; `field` names it."""

    code = "forbidden"
    status = 403


class NotFound(HubError):
    """What is named in the request is not there: no such instance, service, revision or secret."""

    code = "not_found"
    status = 404


class Conflict(HubError):
    """What is asked for contradicts what is stored (an instance id of another service, a lost compare-and-set)."""

    code = "conflict"
    status = 409


class PayloadTooLarge(HubError):
    """The message is larger than the contract's 64 KiB, or the answer to it than a message can be."""

    code = "payload_too_large"
    status = 413


class Unsupported(HubError):
    """The contract knows it, this hub does not do it."""

    code = "unsupported"
    status = 501


class Overloaded(HubError):
    """The hub has as much in flight as it takes; try again in a moment."""

    code = "overloaded"
    status = 503
    retryable = True


class RateLimited(HubError):
    """Who asks has asked too often; `retry_after` says when to ask again."""

    code = "rate_limited"
    status = 429
    retryable = True


class Unavailable(HubError):
    """Nobody answered: no hub is running, NATS is away, or the store cannot be written right now."""

    code = "unavailable"
    status = 503
    retryable = True


class Untrusted(Unavailable):
    """TLS: the server is not who it should be, or does not take us for who we are; the message says which, and why."""

    code = "untrusted"


class DeadlineExceeded(HubError):
    """No answer came within the timeout."""

    code = "deadline_exceeded"
    status = 504
    retryable = True


class SettingsError(HubError):
    """A setting is unknown, has the wrong type, or cannot be used; the message names file and key."""

    code = "settings"


class StartupError(HubError):
    """The hub cannot start; the message says what to do about it."""

    code = "startup"


class NoInstance(HubError):
    """Discovery found nobody who may be chosen for what was asked."""

    code = "no_instance"
    status = 404
    retryable = True


BY_CODE: dict[str, type[HubError]] = {
    cls.code: cls
    for cls in (
        InternalError,
        InvalidRequest,
        InvalidConfig,
        Unauthenticated,
        Forbidden,
        NotFound,
        Conflict,
        PayloadTooLarge,
        Unsupported,
        Overloaded,
        RateLimited,
        Unavailable,
        DeadlineExceeded,
        NoInstance,
    )
}
"""Error codes of the wire to the class that a client raises for them."""
