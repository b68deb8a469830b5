"""The verbs of `hub secret`: values that configurations refer to by name, and who may read them."""
