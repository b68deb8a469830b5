"""What goes with the text on `hub.metrics`: the headers by which a reader knows its format and whose it is."""

from __future__ import annotations

from typing import Final

CONTENT_TYPE_HEADER: Final = "Content-Type"
HUB_ID_HEADER: Final = "Hub-Id"
