"""The verbs of `hub components`, one file each."""
