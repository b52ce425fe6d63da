"""What is seen in a pair while it is loaded: both images empty, or equal to each other."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from iqa_registry.images.image import Array
from iqa_registry.images.notes import BEYOND, EQUAL, Note


def is_empty(scaled: Tensor, stored: Array, background: float | None) -> bool:
    """Whether an image shows nothing: it is 0 everywhere under the intensity rule, or the background of its volume.

    Args:
        scaled: the image in [0, 1].
        stored: the same as it is stored.
        background: the lowest value of the volume that it is a slice of; ``None`` for images of their own.

    Example:
        >>> import torch
        >>> stored = np.full((1, 4, 4), -1024.0, np.float32)
        >>> is_empty(torch.full((1, 4, 4), 0.2), stored, -1024.0), is_empty(torch.full((1, 4, 4), 0.2), stored, None)
        (True, False)
    """
    if not bool((scaled == 0).any()) and background is None:
        return False
    return not bool(scaled.any()) or (background is not None and bool((stored == background).all()))


def equal_note(name: str, scaled: tuple[Tensor, Tensor], stored: tuple[Array, Array]) -> tuple[Note, ...]:
    """A note where the two images of a pair are equal.

    Args:
        name: of the pair.
        scaled: both images in [0, 1].
        stored: both as they are stored.

    Example:
        >>> import torch
        >>> image = torch.zeros(1, 4, 4)
        >>> equal_note("a.png", (image, image), (image.numpy(), image.numpy() + 1))[0].message
        'a.png equals its reference within the limits of the intensity rule, but not beyond them.'
    """
    if not bool((scaled[0] == scaled[1]).all()):
        return ()
    beyond = "" if np.array_equal(*stored) else BEYOND
    return (Note(EQUAL, f"{name} equals its reference{beyond}."),)
