"""One table: the largest absolute difference of each of our metrics from its independent reference.

The images are those of the tests (real and random, gray and color, odd sizes); the tests hold the same differences
against the same tolerances one by one. piq's SSIM and VIF are computed in double precision, since its own error in
single precision is larger than ours. LPIPS and DISTS run with their real weights, fetched if necessary.

    python benchmarks/accuracy.py
"""

from __future__ import annotations

import importlib.util
import math
import sys
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from tabulate import tabulate
from torch import Tensor

from iqa_registry.errors import IQAError
from iqa_registry.registry import Registry, build_registry

Score = Callable[[Tensor, Tensor], float]
TESTS = Path(__file__).resolve().parents[1] / "tests"


def load(path: Path) -> ModuleType:
    """A module of the tests by its path."""
    spec = importlib.util.spec_from_file_location(f"accuracy_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def array(image: Tensor) -> np.ndarray:
    """``(1, C, H, W)`` as ``(H, W)`` or ``(H, W, C)`` in double precision."""
    values = image[0].double().numpy()
    return values[0] if len(values) == 1 else np.moveaxis(values, 0, -1)


def skimage_ssim(s: Tensor, r: Tensor) -> float:
    """scikit-image with the paper's window, over the positions whose whole window lies inside the image."""
    from skimage.metrics import structural_similarity

    first, second = array(s), array(r)
    channel = None if first.ndim == 2 else -1
    settings = {"gaussian_weights": True, "use_sample_covariance": False, "sigma": 1.5, "data_range": 1.0}
    _, found = structural_similarity(first, second, full=True, channel_axis=channel, **settings)
    return float(found[5:-5, 5:-5].mean())


def classical() -> list[tuple[str, str, float, Score]]:
    """Metric, reference, tolerance and the reference as a function."""
    import piq
    import skimage.metrics as sk

    rows: list[tuple[str, str, float, Score]] = [
        ("mae", "numpy", 1e-6, lambda s, r: float(np.abs(array(s) - array(r)).mean())),
        ("mse", "scikit-image", 1e-6, lambda s, r: float(sk.mean_squared_error(array(r), array(s)))),
        ("nrmse", "scikit-image", 1e-6, lambda s, r: float(sk.normalized_root_mse(array(r), array(s)))),
        (
            "psnr",
            "scikit-image",
            1e-5,
            lambda s, r: float(sk.peak_signal_noise_ratio(array(r), array(s), data_range=1)),
        ),
        ("ssim", "piq", 1e-5, lambda s, r: piq.ssim(s.double(), r.double(), downsample=False).item()),
        ("ssim", "scikit-image", 1e-4, skimage_ssim),
        ("ms_ssim", "piq", 1e-4, lambda s, r: piq.multi_scale_ssim(s, r).item()),
        ("gmsd", "piq", 1e-5, lambda s, r: piq.gmsd(s, r).item()),
        ("fsim", "piq", 1e-3, lambda s, r: piq.fsim(s, r, chromatic=False).item()),
        ("vif", "piq", 1e-4, lambda s, r: piq.vif_p(s.double(), r.double()).item()),
    ]
    if find_spec("pyiqa"):
        import pyiqa

        nlpd = pyiqa.create_metric("nlpd", device=torch.device("cpu"))
        rows.append(("nlpd", "pyiqa", 1e-4, lambda s, r: nlpd(colour(s), colour(r)).item()))
    return rows


def learned(registry: Registry) -> list[tuple[str, str, float, Score]]:
    """LPIPS and DISTS by the packages of their authors and by piq, with the real weights."""
    references = load(TESTS / "support" / "learned_references.py")
    rows: list[tuple[str, str, float, Score]] = []
    vgg = registry.weights.open("imagenet-vgg").tensors
    for net in ("alex", "vgg"):
        heads = registry.weights.open(f"lpips-{net}").tensors
        model = references.package_lpips(net, registry.weights.open(f"imagenet-{net}").tensors, heads)
        rows.append(
            (
                f"lpips:net={net}",
                "lpips",
                1e-4,
                lambda s, r, m=model: m(colour(s), colour(r), normalize=True).item(),
            )
        )
    weights = registry.weights.open("dists").tensors
    for name, build in (("dists-pytorch", references.package_dists), ("piq", references.piq_dists)):
        network = build(vgg, weights)
        rows.append(("dists", name, 1e-4, lambda s, r, m=network: m(colour(s), colour(r)).item()))
    return rows


def colour(image: Tensor) -> Tensor:
    """Three channels."""
    return image.expand(-1, 3, -1, -1).contiguous()


def main() -> int:
    """Print the table; exit code 1 if a difference exceeds its tolerance."""
    warnings.simplefilter("ignore")
    registry = build_registry()
    images = load(TESTS / "iqa_classical" / "conftest.py")
    names = [name for name in images.NAMES if images.TCGA.is_dir() or name not in images.MRI]
    references = classical()
    try:
        references += learned(registry)
    except IQAError as error:
        print(f"lpips and dists left out: {error}", file=sys.stderr)
    rows, failed = [], False
    for name, reference, tolerance, score in references:
        metric = registry.metric(name)
        largest, count = 0.0, 0
        with torch.inference_mode():
            for pair in names:
                synthesized, target = images.load_pair(pair)
                if (name, reference) == ("dists", "piq") and min(target.shape[-2:]) > 256:
                    continue  # piq reduces larger images to 256 pixels; the authors' package does so only when asked
                count += 1
                ours, theirs = metric(synthesized, target).item(), score(synthesized, target)
                difference = 0.0 if ours == theirs else abs(ours - theirs)
                largest = math.inf if math.isnan(difference) else max(largest, difference)
        failed |= largest > tolerance
        rows.append(
            [
                name,
                reference,
                count,
                f"{largest:.1e}",
                f"{tolerance:.0e}",
                "ok" if largest <= tolerance else "NO",
            ]
        )
    print(
        tabulate(
            rows, ["metric", "reference", "images", "largest difference", "tolerance", ""], tablefmt="github"
        )
    )
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
