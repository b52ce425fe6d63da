"""The interfaces live in :mod:`iqa_registry.metrics`."""

from iqa_registry.metrics import *  # noqa: F403
from iqa_registry.metrics import TOLERANCE, Comparison, Features, Metric, Summary  # noqa: F401
