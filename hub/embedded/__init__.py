"""A nats-server of the hub's own: found, configured, started, watched, and ended with the hub."""

from hub.embedded.server import EmbeddedServer

__all__ = ["EmbeddedServer"]
