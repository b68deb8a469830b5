"""The verbs of `hub audit`, one file each."""
