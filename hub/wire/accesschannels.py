"""The requests about API keys, and about whom the hub lets in no more; a part of `channels`."""

from __future__ import annotations

from typing import Final

from hub.wire import subjects
from hub.wire.channel import Channel, request
from hub.wire.keys import (
    AccessChanged,
    CreateKey,
    IssuedKey,
    KeyList,
    ListKeys,
    ListRevoked,
    RestoreAccess,
    RevocationList,
    RevokeAccess,
    RevokeKey,
    RotateKey,
)

ACCESS_CHANNELS: Final[tuple[Channel, ...]] = (
    request(
        "create-key",
        subjects.KEY_CREATE,
        CreateKey,
        IssuedKey,
        "Makes an API key; the reply is the only place where it is told.",
    ),
    request(
        "list-keys",
        subjects.KEY_LIST,
        ListKeys,
        KeyList,
        "Which API keys are there, whose are they, and when were they last used? Never their secrets.",
    ),
    request(
        "rotate-key",
        subjects.KEY_ROTATE,
        RotateKey,
        IssuedKey,
        "Makes an API key in place of another, which stays valid for a while.",
    ),
    request(
        "revoke-key",
        subjects.KEY_REVOKE,
        RevokeKey,
        AccessChanged,
        "Ends an API key at once, and the connections that it let in.",
    ),
    request(
        "revoke-access",
        subjects.ACCESS_REVOKE,
        RevokeAccess,
        AccessChanged,
        "Lets a caller or a credential in no more, and closes its connections.",
    ),
    request(
        "restore-access",
        subjects.ACCESS_RESTORE,
        RestoreAccess,
        AccessChanged,
        "Lets a caller or a credential in again that was revoked.",
    ),
    request(
        "list-revoked",
        subjects.ACCESS_LIST,
        ListRevoked,
        RevocationList,
        "Who is let in no more, since when, and why?",
    ),
)
"""In the order in which somebody meets them."""
