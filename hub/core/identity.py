"""The id of an instance that names none: the same for the same service at the same address, on every replica."""

from __future__ import annotations

from hashlib import blake2s


def derived_instance_id(service: str, host: str, port: int) -> str:
    """An id of 13 characters from what identifies a process that listens: its service, host and port."""
    return "i" + blake2s(f"{service}\0{host}\0{port}".encode(), digest_size=6).hexdigest()
