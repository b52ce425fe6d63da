r"""Phase congruency of a batch of images, by log-Gabor filters (Kovesi 1999, with the constants of FSIM).

The image is filtered with quadrature pairs of ``orientations`` directions and ``scales`` wavelengths. Where the
phases of all scales of a direction agree, as at an edge or a line, the length of the sum of the responses comes up to
the sum of their lengths:

.. math::
    \mathrm{PC} = \frac{\sum_o \lfloor \sum_s A_{so} (\cos\Delta\phi_{so} - |\sin\Delta\phi_{so}|) - T_o \rfloor}
                       {\sum_o \sum_s A_{so}}

with the amplitudes A, the deviations :math:`\Delta\phi` from the mean phase and a noise threshold T that is estimated
from the median amplitude at the finest scale.

Paper: P. Kovesi (1999), "Image features from phase congruency", Videre 1(3), 1-26.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from iqa_classical.filters import safe_sqrt

SHORTEST_WAVELENGTH = 6.0
WAVELENGTH_RATIO = 2.0
BANDWIDTH = 0.55
"""Standard deviation of the log-Gaussian over the center frequency."""
ANGULAR_RATIO = 1.2
"""Angle between neighboring directions over the standard deviation of the angular Gaussian."""
CUTOFF = 0.45
SHARPNESS = 15
"""Cutoff (cycles a pixel) and order of the Butterworth low-pass, which keeps the corners of the spectrum out."""
NOISE_DEVIATIONS = 2.0
"""The threshold lies this many standard deviations above the mean of the noise."""
NOISE_RESCALING = 1.7
"""Empirical: by how much the estimate of the noise is too high for this measure."""
EPSILON = torch.finfo(torch.float32).eps
CPU_CHUNK, CHUNK = 2**18, 2**22
"""Pixels filtered at a time: on a CPU enough to keep the cores busy and few enough to stay in the cache."""


class FilterBank(NamedTuple):
    """Log-Gabor filters of one image size.

    Attributes:
        filters: ``(orientations, scales, H, W)``, complex with no imaginary part (a product of complex numbers is
            faster than one that converts), zero frequency at the corner.
        thresholds: ``(orientations,)``, the noise thresholds for a median amplitude of 1 at the finest scale.
    """

    filters: Tensor
    thresholds: Tensor


def _frequencies(side: int) -> Tensor:
    """Frequencies of one axis, zero first; for an odd side scaled to end at a half, as in Kovesi's code."""
    span = side - side % 2
    centered = torch.arange(-(span // 2), side - span // 2, dtype=torch.float64) / span
    return torch.fft.ifftshift(centered)


def _radial(radius: Tensor, scale: int) -> Tensor:
    center = 1 / (SHORTEST_WAVELENGTH * WAVELENGTH_RATIO**scale)
    low_pass = 1 / (1 + (radius / CUTOFF) ** (2 * SHARPNESS))
    gain = low_pass * torch.exp(-((radius / center).log() ** 2) / (2 * math.log(BANDWIDTH) ** 2))
    gain[0, 0] = 0
    return gain


def _angular(theta: Tensor, orientation: int, orientations: int) -> Tensor:
    turned = theta - orientation * math.pi / orientations
    distance = torch.atan2(turned.sin(), turned.cos())
    deviation = math.pi / (orientations * ANGULAR_RATIO)
    return torch.exp(-(distance**2) / (2 * deviation**2))


def _threshold(filters: Tensor) -> Tensor:
    """Noise threshold of one orientation, ``(scales, H, W)``, per unit of the median finest amplitude.

    If the finest response is noise, its squared amplitude is exponentially distributed, and its median is ln 2 times
    its mean. Filters of known power turn that into the noise power of the image and this into the distribution of
    the summed response, which is Rayleigh's with parameter tau. By Parseval's theorem no inverse transform is needed.
    """
    # The even part of a filter is the transform of the real part of its impulse response.
    even = (filters + filters.flip(-2, -1).roll((1, 1), (-2, -1))) / 2
    power = even.sum(dim=0).square().sum() / (math.log(2) * filters[0].square().sum())
    tau = power.sqrt()
    mean, deviation = math.sqrt(math.pi / 2) * tau, math.sqrt(2 - math.pi / 2) * tau
    return (mean + NOISE_DEVIATIONS * deviation) / NOISE_RESCALING


@lru_cache(maxsize=4)
def log_gabor_bank(
    height: int, width: int, scales: int, orientations: int, device: torch.device
) -> FilterBank:
    """The filters for images of ``height`` x ``width``; the last four banks are kept.

    Example:
        >>> bank = log_gabor_bank(32, 32, 4, 4, torch.device("cpu"))
        >>> round(bank.filters.real.max().item(), 4), round(bank.thresholds[0].item(), 4)
        (0.9952, 2.0566)
    """
    # Kept tensors must not be inference tensors, which a later call that needs gradients could not use.
    with torch.inference_mode(False), torch.no_grad():
        rows, columns = torch.meshgrid(_frequencies(height), _frequencies(width), indexing="ij")
        # The first axis is x, as in piq. The authors' x is the second; only the Nyquist frequency can tell.
        radius, theta = torch.hypot(rows, columns), torch.atan2(-columns, rows)
        radius[0, 0] = 1
        radial = torch.stack([_radial(radius, scale) for scale in range(scales)])
        banks = [radial * _angular(theta, index, orientations) for index in range(orientations)]
        thresholds = torch.stack([_threshold(bank) for bank in banks]).float()
        return FilterBank(torch.stack(banks).to(torch.complex64).to(device), thresholds.to(device))


def lower_median(values: Tensor) -> Tensor:
    """The lower median of each row of ``(N, M)``, as :func:`torch.median` gives, but several times faster on a CPU.

    Example:
        >>> lower_median(torch.tensor([[3.0, 1.0, 2.0, 4.0]])).tolist()
        [2.0]
    """
    if values.device.type != "cpu" or torch.compiler.is_compiling():
        return values.median(dim=1).values
    middle = (values.shape[1] - 1) // 2
    order = np.argpartition(values.detach().numpy(), middle, axis=1)
    return values.gather(1, torch.from_numpy(order[:, middle : middle + 1])).flatten()


def _root(squares: Tensor) -> Tensor:
    # Nothing to clamp, so without gradients the root is taken in place.
    return safe_sqrt(squares) if squares.requires_grad else squares.sqrt_()


def _direction(spectra: Tensor, filters: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    r"""Energy above the noise and summed amplitude, each ``(N, H, W)``, of one orientation.

    With the responses' sum :math:`R = \sum_s r_s`, the sum of :math:`A_s \cos\Delta\phi_s` is |R|, and
    :math:`A_s |\sin\Delta\phi_s|` is the cross product of :math:`r_s` and R over |R|.
    """
    responses = torch.view_as_real(torch.fft.ifft2(spectra[:, None] * filters))
    even, odd = (part.contiguous() for part in responses.unbind(dim=-1))
    amplitudes = _root(even.square().addcmul_(odd, odd))
    even_sum, odd_sum = even.sum(dim=1, keepdim=True), odd.sum(dim=1, keepdim=True)
    cross = (odd * even_sum).addcmul_(even, odd_sum, value=-1).abs_().sum(dim=1)
    squared = even_sum.square().addcmul_(odd_sum, odd_sum).squeeze(1)
    energy = (squared - cross) / (_root(squared.clone()) + EPSILON)
    noise = threshold * lower_median(amplitudes[:, 0].flatten(1))
    return torch.relu(energy - noise[:, None, None]), amplitudes.sum(dim=1)


def _congruency(images: Tensor, bank: FilterBank) -> Tensor:
    # No filter passes the mean; without it, rounding in the transform does not drown faint responses.
    spectra = torch.fft.fft2(images - images.mean(dim=(-2, -1), keepdim=True))
    energy = amplitude = torch.zeros_like(images)
    for filters, threshold in zip(bank.filters, bank.thresholds, strict=True):
        part, total = _direction(spectra, filters, threshold)
        energy, amplitude = energy + part, amplitude + total
    return (energy + EPSILON) / (amplitude + EPSILON)


def phase_congruency(images: Tensor, scales: int = 4, orientations: int = 4) -> Tensor:
    """Phase congruency of every pixel.

    Args:
        images: ``(N, 1, H, W)`` with values of 0 to 255, sides of at least 2.
        scales: number of wavelengths, from 6 pixels on, each twice the one before.
        orientations: number of directions.

    Returns:
        The same shape, in (0, 1]; 1 where the image has no structure at all.

    Example:
        >>> edge = torch.cat([torch.zeros(1, 1, 32, 16), torch.full((1, 1, 32, 16), 255.0)], dim=-1)
        >>> [round(value, 3) for value in phase_congruency(edge)[0, 0, 16, 13:17].tolist()]
        [0.35, 0.429, 0.738, 0.738]
    """
    pixels = images.shape[-2] * images.shape[-1]
    bank = log_gabor_bank(images.shape[-2], images.shape[-1], scales, orientations, images.device)
    chunk = max(1, (CPU_CHUNK if images.device.type == "cpu" else CHUNK) // pixels)
    with torch.autocast(images.device.type, enabled=False):
        parts = [_congruency(part, bank) for part in images.squeeze(1).split(chunk)]
    return torch.cat(parts)[:, None]
