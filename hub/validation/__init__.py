"""The validation of configurations by JSON Schema."""

from hub.validation.schema import MAX_BYTES, MAX_VIOLATIONS, Schema

__all__ = ["MAX_BYTES", "MAX_VIOLATIONS", "Schema"]
