"""How a hub is to run: the settings, and where they come from."""

from hub.settings.load import load
from hub.settings.model import DEFAULT_PATH, Settings

__all__ = ["DEFAULT_PATH", "Settings", "load"]
