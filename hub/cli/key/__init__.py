"""The verbs of `hub key`: API keys for callers from outside."""
