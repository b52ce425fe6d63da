"""Every metric conforms, and scores what an independent implementation does.

The references get probe images, volumes and masks from the conformance kit, and the real and random pairs of
``image_pairs``. piq runs in double precision where its own rounding in single precision exceeds the tolerance.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import piq
import pytest
import scipy.ndimage
import torch
from skimage.metrics import (
    mean_squared_error,
    normalized_root_mse,
    peak_signal_noise_ratio,
    structural_similarity,
)

import ms_ssim_reference
import nlpd_reference
from image_pairs import array_pairs
from iqa_classical.piq_bridge import TABLE
from iqa_classical.plugin import METRICS
from iqa_registry.testing import conformance_tests

PAIRS = array_pairs()
FEW = {name: PAIRS[name] for name in ("camera-noise", "astronaut-blur-odd", "coffee-quantize")}
EVERYWHERE = ...


def tensors(*images, dtype=torch.float64):
    return [torch.from_numpy(x.reshape(*x.shape[:2], -1)).to(dtype).movedim(-1, 0)[None] for x in images]


def mae(x, y, mask=EVERYWHERE):
    return np.abs(x[mask] - y[mask]).mean()


def mse(x, y, mask=EVERYWHERE):
    return mean_squared_error(y[mask], x[mask])


def psnr(x, y, mask=EVERYWHERE):
    return peak_signal_noise_ratio(y[mask], x[mask], data_range=1)


def rmse(x, y, mask=EVERYWHERE):
    return mse(x, y, mask) ** 0.5


def nrmse(x, y, mask=EVERYWHERE, form="euclidean"):
    return normalized_root_mse(y[mask], x[mask], normalization=form)


def ssim(x, y, mask=None):
    """The mean of scikit-image's map, which piq confirms for whole images."""
    axis = -1 if x.shape[-1] == 3 else None
    options = {
        "data_range": 1,
        "gaussian_weights": True,
        "use_sample_covariance": False,
        "channel_axis": axis,
    }
    mean, values = structural_similarity(x, y, full=True, **options)
    if mask is None:
        if x.ndim == 2 or axis:
            other = piq.ssim(*tensors(x, y), downsample=False).item()
            assert mean == pytest.approx(other, abs=1e-6)
        return mean
    return values[scipy.ndimage.binary_erosion(mask, np.ones((11,) * mask.ndim))].mean()


def by_piq(x, y, name, dtype=torch.float64, **options):
    return getattr(piq, name)(*tensors(x, y, dtype=dtype), **options).item()


def bridged(x, y, name):
    """piq's own score; gray images are repeated where piq would warn and do the same."""
    images = tensors(x, y, dtype=torch.float32)
    if TABLE[name].needs_rgb:
        images = [image.expand(-1, 3, -1, -1) for image in images]
    return getattr(piq, TABLE[name].function)(*images).item()


single = partial(by_piq, dtype=torch.float32)
test_mae = conformance_tests("mae", "mae:dimensions=3", reference=mae, atol=0, rtol=1e-6, pairs=PAIRS)
test_mse = conformance_tests("mse", "mse:dimensions=3", reference=mse, atol=0, rtol=1e-6, pairs=PAIRS)
test_psnr = conformance_tests("psnr", "psnr:dimensions=3", reference=psnr, atol=0, rtol=1e-6, pairs=PAIRS)
test_rmse = conformance_tests("rmse", "rmse:dimensions=3", reference=rmse, atol=0, rtol=1e-6, pairs=PAIRS)
test_nrmse = conformance_tests("nrmse", "nrmse:dimensions=3", reference=nrmse, atol=0, rtol=1e-6, pairs=PAIRS)
test_nrmse_by_range = conformance_tests(
    "nrmse:normalization=min-max", reference=partial(nrmse, form="min-max"), atol=0, rtol=1e-6, pairs=PAIRS
)
test_nrmse_by_mean = conformance_tests(
    "nrmse:normalization=mean", reference=partial(nrmse, form="mean"), atol=0, rtol=1e-6, pairs=PAIRS
)
test_ssim = conformance_tests("ssim", "ssim:dimensions=3", reference=ssim, atol=1e-5, pairs=PAIRS)
test_ssim_with_other_parameters = conformance_tests(
    "ssim:window=7,sigma=2,k1=0.03,k2=0.05",
    reference=partial(
        by_piq, name="ssim", kernel_size=7, kernel_sigma=2.0, k1=0.03, k2=0.05, downsample=False
    ),
    pairs=FEW,
)
test_ssim_downsampled = conformance_tests(
    "ssim:downsample=true", reference=partial(by_piq, name="ssim", downsample=True), pairs=FEW
)
test_ms_ssim = conformance_tests(
    "ms_ssim", reference=partial(by_piq, name="multi_scale_ssim"), atol=1e-4, pairs=PAIRS
)
test_ms_ssim_of_volumes = conformance_tests(
    "ms_ssim:dimensions=3,window=3,sigma=1",
    reference=partial(ms_ssim_reference.of_volumes, window=3, sigma=1.0),
)
test_gmsd = conformance_tests("gmsd", reference=partial(single, name="gmsd"), pairs=PAIRS)
test_fsim = conformance_tests("fsim", reference=partial(single, name="fsim", chromatic=False), pairs=PAIRS)
test_fsim_with_other_filters = conformance_tests(
    "fsim:scales=3,orientations=6",
    reference=partial(single, name="fsim", chromatic=False, scales=3, orientations=6),
    pairs=FEW,
)
test_vif = conformance_tests("vif", reference=partial(by_piq, name="vif_p"), atol=1e-4, pairs=PAIRS)
test_vif_with_less_noise = conformance_tests(
    "vif:noise_variance=0.4", reference=partial(by_piq, name="vif_p", sigma_n_sq=0.4), atol=1e-4, pairs=FEW
)
test_nlpd = conformance_tests("nlpd", reference=nlpd_reference.distance, atol=2e-6, pairs=PAIRS)
test_nlpd_of_the_script = conformance_tests(
    "nlpd:far_neighbor=true", reference=partial(nlpd_reference.distance, far=0.0072), atol=2e-6, pairs=PAIRS
)
test_dss, test_haarpsi, test_iw_ssim, test_mdsi, test_ms_gmsd, test_srsim, test_vsi = (
    conformance_tests(name, reference=partial(bridged, name=name), pairs=FEW) for name in TABLE
)


def test_every_metric_is_compared_with_a_reference():
    marks = [value.pytestmark[0] for name, value in globals().items() if hasattr(value, "pytestmark")]
    ids = {case.id for mark in marks for case in mark.args[1]}
    assert {f"{spec.name}-reference" for spec in METRICS} <= ids
