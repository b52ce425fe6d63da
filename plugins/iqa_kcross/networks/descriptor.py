"""The descriptor of a pair: where two images' features differ, averaged over positions.

Features are scaled to unit length per position first, as LPIPS does (doi:10.1109/CVPR.2018.00068).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

EPSILON = 1e-6


def unit_length(features: Tensor) -> Tensor:
    """Scale the feature vector of each position to length 1; ``(N, C, h, w)``, zero where all features are.

    Example:
        >>> unit_length(torch.tensor([3.0, 4.0]).view(1, 2, 1, 1)).flatten().tolist()
        [0.6000000238418579, 0.800000011920929]
    """
    features = features.float()
    return features / torch.linalg.vector_norm(features, dim=1, keepdim=True).clamp_min(EPSILON)


def unit_maps(maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Feature maps at unit length; the maps given are overwritten where no gradient needs them.

    Example:
        >>> maps = [torch.tensor([3.0, 4.0]).view(1, 2, 1, 1)]
        >>> unit_maps(maps)[0] is maps[0], maps[0].flatten().tolist()
        (True, [0.6000000238418579, 0.800000011920929])
    """
    return tuple(map(_unit_length_in_place, maps))


def _unit_length_in_place(features: Tensor) -> Tensor:
    # Encoding spends more time on fresh memory for the large maps than on the arithmetic.
    if features.dtype != torch.float32 or (features.requires_grad and torch.is_grad_enabled()):
        return unit_length(features)
    length = torch.linalg.vector_norm(features, dim=1, keepdim=True)
    return features.mul_(length.clamp_min_(EPSILON).reciprocal_())


def difference(first: Tensor, second: Tensor) -> Tensor:
    """Mean over positions of the absolute difference: twice ``(N, C, h, w)`` to ``(N, C)``.

    Example:
        >>> difference(torch.zeros(1, 1, 1, 2), torch.tensor([1.0, -2.0]).view(1, 1, 1, 2)).item()
        1.5
    """
    # Image by image, what is subtracted stays in the cache until it is averaged.
    pairs = zip(first, second, strict=True)
    return torch.stack([(one - other).abs_().mean(dim=(-2, -1)) for one, other in pairs])


def describe(first: Sequence[Tensor], second: Sequence[Tensor], is_complex: bool = False) -> Tensor:
    """The descriptors of several layers behind each other.

    Args:
        first: a feature map ``(N, C, h, w)`` for each layer, of one image.
        second: those of the other.
        is_complex: whether channels are complex, real parts first; so are the descriptor's then.

    Returns:
        ``(N, D)``, D the number of channels of all layers.

    Example:
        >>> maps = [torch.tensor([0.0, 1.0]).view(1, 2, 1, 1), torch.tensor([2.0, 3.0]).view(1, 2, 1, 1)]
        >>> describe(maps, [torch.zeros(1, 2, 1, 1)] * 2, is_complex=True).tolist()
        [[0.0, 2.0, 1.0, 3.0]]
    """
    layers = [difference(a, b) for a, b in zip(first, second, strict=True)]
    if not is_complex:
        return torch.cat(layers, dim=1)
    parts = [layer.chunk(2, dim=1) for layer in layers]
    return torch.cat([part[0] for part in parts] + [part[1] for part in parts], dim=1)
