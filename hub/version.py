"""The version of this distribution; the wire contract has its own (see schemas/README.md)."""

__version__ = "3.0.0"
