"""The composition root: one hub, put together from its parts."""

from hub.app.hub import Hub as Hub
