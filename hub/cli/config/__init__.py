"""The verbs of `hub config`: what services are configured with, who changed it, and who runs with it."""
