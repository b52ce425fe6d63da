"""NLPD as the authors' script NLP_dist.m computes it, written anew with scipy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

SIGMAS = (0.0248, 0.0185, 0.0179, 0.0191, 0.0220, 0.2782)
CROSSES = (
    [[0, 0.1011, 0], [0.1493, 0, 0.1460], [0, 0.1015, 0]],
    [[0, 0.0757, 0], [0.1986, 0, 0.1846], [0, 0.0837, 0]],
    [[0, 0.0477, 0], [0.2138, 0, 0.2243], [0, 0.0467, 0]],
    [[0, 0, 0], [0.2503, 0, 0.2616], [0, 0, 0]],
    [[0, 0, 0], [0.2598, 0, 0.2552], [0, 0, 0]],
    [[0, 0, 0], [0.2215, 0, 0.0717], [0, 0, 0]],
)
BURT = np.outer([0.05, 0.25, 0.4, 0.25, 0.05], [0.05, 0.25, 0.4, 0.25, 0.05])
Pixels = NDArray[np.float64]


def pyramid(image: Pixels) -> Iterator[Pixels]:
    """imfilter 'symmetric' and decimation; zeros between a replicated border for the way back."""
    for _ in range(5):
        low = scipy.ndimage.correlate(image, BURT, mode="reflect")[::2, ::2]
        padded = np.pad(low, 1, mode="edge")
        spread = np.zeros((2 * padded.shape[0], 2 * padded.shape[1]))
        spread[::2, ::2] = 4 * padded
        high = scipy.ndimage.correlate(spread, BURT, mode="constant")[2:, 2:]
        yield image - high[: image.shape[0], : image.shape[1]]
        image = low
    yield image


def levels(image: Pixels, far: float = 0.0) -> Iterator[Pixels]:
    """The normalized levels; ``far`` is the weight of the neighbor two columns away at the finest one."""
    for index, level in enumerate(pyramid(image)):
        kernel = np.pad(CROSSES[index], 1)
        if index == 0:
            kernel[2, 4] = far
        yield level / (SIGMAS[index] + scipy.ndimage.convolve(abs(level), kernel, mode="constant"))


def distance(x: Pixels, y: Pixels, far: float = 0.0) -> float:
    """NLPD of two images ``(H, W)``, or of the luminance of ``(H, W, 3)``."""
    x, y = (image @ [0.299, 0.587, 0.114] if image.ndim == 3 else image for image in (x, y))
    pairs = zip(levels(x, far), levels(y, far), strict=True)
    return float(np.mean([np.sqrt(np.mean((a - b) ** 2)) for a, b in pairs]))
