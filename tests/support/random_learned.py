"""The learned metrics with random weights, as a plugin: what they promise holds whatever the weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch

from iqa_learned.deepiqa import DeepIQA, _features, _regression
from iqa_learned.dists import DISTS
from iqa_learned.lpips import LPIPS
from iqa_learned.plugin import METRICS
from iqa_registry.plugin import hookimpl
from iqa_registry.plugins import Candidate
from iqa_registry.specs import Origin
from learned_references import random_backbone, random_dists, random_heads


def lpips(*, net: Literal["alex", "vgg", "squeeze"] = "alex") -> LPIPS:
    return LPIPS(net=net, backbone=random_backbone(net), heads=random_heads(net))


def dists() -> DISTS:
    return DISTS(backbone=random_backbone("vgg"), weights=random_dists())


def deepiqa_state() -> dict[str, torch.Tensor]:
    """Random weights under which patches get clearly different weights."""
    generator = torch.Generator().manual_seed(3)
    parts = torch.nn.ModuleDict({"features": _features(), "fc_q": _regression(), "fc_w": _regression()})
    made = {
        name: torch.randn(x.shape, generator=generator) * ((2 / x[0].numel()) ** 0.5 if x.ndim > 1 else 0.1)
        for name, x in parts.state_dict().items()
    }
    return made | {"fc_w.3.weight": made["fc_w.3.weight"].abs()}  # no patch without a weight


def deepiqa() -> DeepIQA:
    metric = DeepIQA(state=deepiqa_state())
    metric.conformance_exceptions = dict.fromkeys(
        ("direction", "mask place"), "random weights have learned nothing"
    )
    return metric


class Plugin:
    @hookimpl
    def iqa_register_metrics(self, register):
        for spec in METRICS:
            register(
                replace(spec, name=f"random-{spec.name}", factory=f"random_learned:{spec.name}", weights=())
            )


class _Point:
    name = "random"

    def load(self):
        return Plugin()


def candidate() -> Candidate:
    return Candidate(_Point(), Origin("random-learned", "1.0", "random"))
