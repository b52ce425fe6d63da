"""MS-SSIM of volumes by full three-dimensional convolutions, in double precision."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def of_volumes(x: np.ndarray, y: np.ndarray, window: int, sigma: float) -> float:
    """The score of two volumes ``(D, H, W)``."""
    x, y = (torch.from_numpy(volume)[None, None] for volume in (x, y))
    offsets = torch.arange(window, dtype=torch.float64) - window // 2
    line = torch.exp(-(offsets**2) / (2 * sigma**2))
    kernel = torch.einsum("i,j,k->ijk", line, line, line)
    kernel = (kernel / kernel.sum())[None, None]
    score = 1.0
    for scale, weight in enumerate(WEIGHTS):
        if scale:
            odd = int(any(side % 2 for side in x.shape[2:]))
            x, y = (F.avg_pool3d(F.pad(v, (odd, 0) * 3, mode="replicate"), 2) for v in (x, y))
        mean_x, mean_y = F.conv3d(x, kernel), F.conv3d(y, kernel)
        spread_x, spread_y = F.conv3d(x * x, kernel) - mean_x**2, F.conv3d(y * y, kernel) - mean_y**2
        together = F.conv3d(x * y, kernel) - mean_x * mean_y
        values = (2 * together + 9e-4) / (spread_x + spread_y + 9e-4)
        if scale == len(WEIGHTS) - 1:
            values = values * (2 * mean_x * mean_y + 1e-4) / (mean_x**2 + mean_y**2 + 1e-4)
        score = score * max(0.0, values.mean().item()) ** weight
    return score
