"""The verbs of `hub access`."""
