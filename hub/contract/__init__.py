"""The contract for other languages: AsyncAPI, JSON Schemas and tables, rendered from `hub.wire`."""

from hub.contract.files import check, render, write

__all__ = ["check", "render", "write"]
