"""The score networks S_n (natural) and S_c (complex): 512 to 256 to 1 with leaky ReLU, then a sigmoid.

One natural network serves the tumor and the structure branch, and every further branch that asks for it. Of the
complex network's output the real part counts. Source: section III-B3 of K-CROSS, arXiv:2307.04296.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from iqa_kcross.networks.layers import ComplexLinear

DESCRIPTOR, HIDDEN = 512, 256
SLOPE = 0.2


class ScoreNetworks(nn.Module):
    """Both score networks.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> networks = ScoreNetworks().eval()
        >>> natural, complex_ = networks(torch.ones(1, 512), "natural"), networks(torch.ones(1, 1024), "complex")
        >>> 0 < natural.item() < 1, 0 < complex_.item() < 1
        (True, True)
    """

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.natural = _network(nn.Linear(DESCRIPTOR, HIDDEN), nn.Linear(HIDDEN, 1), dropout)
        self.complex = _network(ComplexLinear(DESCRIPTOR, HIDDEN), ComplexLinear(HIDDEN, 1), dropout)

    def forward(self, projected: Tensor, kind: Literal["natural", "complex"]) -> Tensor:
        """Scores ``(N,)`` in [0, 1] of ``(N, 512)``, or of complex ``(N, 1024)`` with the real parts first."""
        network = self.natural if kind == "natural" else self.complex
        return torch.sigmoid(network(projected)[:, 0])


def _network(first: nn.Module, last: nn.Module, dropout: float) -> nn.Sequential:
    return nn.Sequential(first, nn.LeakyReLU(SLOPE), nn.Dropout(dropout), last)
