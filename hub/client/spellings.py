"""How a text may be spelled where it turns up in another."""

from __future__ import annotations

import base64
import json
from functools import lru_cache
from urllib.parse import quote, quote_plus


@lru_cache(maxsize=256)
def spellings(text: str) -> frozenset[str]:
    """The text as it is, and as JSON, Python, a URL and base64 have it; longer ones should be looked for first."""
    data = text.encode(errors="replace")
    return frozenset(
        {
            text,
            json.dumps(text)[1:-1],
            json.dumps(text, ensure_ascii=False)[1:-1],
            repr(text)[1:-1],
            quote(data, safe=""),
            quote(data),
            quote_plus(data),
            base64.b64encode(data).decode().rstrip("="),
            base64.urlsafe_b64encode(data).decode().rstrip("="),
        }
        - {""}
    )
