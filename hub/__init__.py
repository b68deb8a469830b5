"""Central Hub: a NATS-native service coordinator."""

from hub.version import __version__

__all__ = ["__version__"]
