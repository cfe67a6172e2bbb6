"""Hypothesis, so that a run gives what the run before gave, whatever else the machine does."""

from hypothesis import settings

settings.register_profile("steady", deadline=None, derandomize=True, database=None)
settings.load_profile("steady")
