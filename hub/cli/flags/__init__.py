"""The verbs of `hub flags`: which feature flags services have, and what they come to."""
