"""Whether a metric leaves the process as it was."""

from __future__ import annotations

import contextlib
import io
import random

import numpy as np
import torch

from iqa_registry.isolation import isolated, process_settings
from iqa_registry.testing.results import require
from iqa_registry.testing.subject import Subject

SEED = 190707


def surroundings(subject: Subject) -> str:
    """Global settings and random states are as before, and nothing is printed."""
    images = subject.some(2)
    with isolated(), contextlib.redirect_stdout(io.StringIO()) as printed:
        # Not what the metric may have set itself, an earlier time.
        for seed in (torch.manual_seed, np.random.seed, random.seed):
            seed(SEED)
        before = process_settings()
        subject.scores(*images)
        after = process_settings()
    altered = [name for name, value in before.items() if after[name] != value]
    require(not altered, f"the metric changes {', '.join(altered)}")
    said = printed.getvalue().split("\n")[0][:80]
    require(not printed.getvalue(), f"the metric prints {said!r} on stdout")
    return "settings and random states are as before"
