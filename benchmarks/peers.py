"""The peers that our metrics are timed against, each as a function of two image batches.

Everything is set up before the clock runs: networks are built and loaded, filters made.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib.util import find_spec

import torch
from torch import Tensor

from iqa_registry.registry import Registry

Score = Callable[[Tensor, Tensor], Tensor]


def piq_peers(registry: Registry, device: str) -> dict[str, Score]:
    """piq's functions and networks by our metric's name."""
    import piq

    return {
        "psnr": lambda s, r: piq.psnr(s, r, reduction="none"),
        "ssim": lambda s, r: piq.ssim(s, r, downsample=False, reduction="none"),
        "ms_ssim": lambda s, r: piq.multi_scale_ssim(s, r, reduction="none"),
        "gmsd": lambda s, r: piq.gmsd(s, r, reduction="none"),
        "fsim": lambda s, r: piq.fsim(s, r, chromatic=False, reduction="none"),
        "vif": lambda s, r: piq.vif_p(s, r, reduction="none"),
    }


def lpips_peers(registry: Registry, device: str) -> dict[str, Score]:
    """The package lpips, its networks without pretrained weights: what is timed does not depend on them."""
    import lpips

    peers: dict[str, Score] = {}
    for name, net in (("lpips", "alex"), ("lpips:net=vgg", "vgg")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            network = lpips.LPIPS(net=net, pnet_rand=True, verbose=False).to(device).eval()
        peers[name] = lambda s, r, network=network: network(
            s.expand(-1, 3, -1, -1), r.expand(-1, 3, -1, -1), normalize=True
        )
    return peers


def dists_peers(registry: Registry, device: str) -> dict[str, Score]:
    """The package dists-pytorch on random weights."""
    if find_spec("DISTS_pytorch") is None:
        return {}
    import torchvision
    from DISTS_pytorch import DISTS

    original = torchvision.models.vgg16
    # Its constructor asks torchvision for pretrained weights by a download; timings do not depend on them.
    torchvision.models.vgg16 = lambda *_, **__: original(weights=None)
    try:
        network = DISTS(load_weights=False).to(device).eval()
    finally:
        torchvision.models.vgg16 = original
    return {"dists": lambda s, r: network(s.expand(-1, 3, -1, -1), r.expand(-1, 3, -1, -1))}


def pyiqa_peers(registry: Registry, device: str) -> dict[str, Score]:
    """pyiqa's metrics that need no weights; empty where it is not installed."""
    if find_spec("pyiqa") is None:
        return {}
    import pyiqa

    names = {
        "psnr": "psnr",
        "ssim": "ssim",
        "ms_ssim": "ms_ssim",
        "gmsd": "gmsd",
        "fsim": "fsim",
        "nlpd": "nlpd",
        "vif": "vif",
    }
    peers: dict[str, Score] = {}
    for ours, theirs in names.items():
        metric = pyiqa.create_metric(theirs, device=torch.device(device))
        # Several of its metrics take color only.
        peers[ours] = lambda s, r, metric=metric: metric(s.expand(-1, 3, -1, -1), r.expand(-1, 3, -1, -1))
    return peers


PEERS = {"piq": piq_peers, "lpips": lpips_peers, "dists-pytorch": dists_peers, "pyiqa": pyiqa_peers}
