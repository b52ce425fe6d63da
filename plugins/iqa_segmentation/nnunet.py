"""nnU-Net v2 as a segmenter: a trained-model folder, read and run in this process.

F. Isensee, P. F. Jaeger, S. A. A. Kohl, J. Petersen, K. H. Maier-Hein, "nnU-Net: a self-configuring method for deep
learning-based biomedical image segmentation", Nature Methods 18, 203-211, 2021, DOI 10.1038/s41592-020-01008-z.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from iqa_registry.plugin import ImageError, Segmenter
from iqa_segmentation.frames import as_tensor, spacing_of, without_specks
from iqa_segmentation.nnunet_folder import SHIPPED, read_folder
from iqa_segmentation.nnunet_predictor import Predictor, need_nnunet
from iqa_segmentation.nnunet_slices import SliceReader, read_slices

SHIPPED_MINIMUM = 20
"""Least area of a lesion for the model that ships, in pixels; chosen on the subjects held out of its training."""


class NnUNet(Segmenter):
    """A model that nnU-Net v2 trained, or the small one that ships, which was trained on simulated images.

    Slices need a ``2d`` model; volumes take any, and a ``2d`` model goes through them slice by slice. The array's axes
    are those that nnU-Net reads from files, ``(D, H, W)``. Where nothing has to be resampled, slices take a shorter way
    that gives the same labels and, for plain networks, needs no package of nnU-Net. The rest is done by nnU-Net's own
    code, which the extra ``nnunet`` adds.

    Reading a checkpoint: see :mod:`iqa_segmentation.nnunet_folder`. Give ``trust=true`` only for files whose origin
    you know, since they may run any code.

    Raises:
        WeightsError: the folder lacks something, or the model takes several channels.
        MissingExtraError: the model is of a kind that only nnU-Net itself reads, and it is not installed.

    Example:
        >>> square = np.zeros((64, 64), np.float32)
        >>> NnUNet()(square).sum()
        np.uint64(0)
    """

    def __init__(
        self,
        path: Annotated[
            str | None, Field(description="trained-model folder of nnU-Net v2; by default the one that ships")
        ] = None,
        fold: Annotated[str, Field(pattern=r"^(\d+|all)$", description="fold, or all")] = "0",
        checkpoint: Annotated[
            str, Field(pattern=r"^[^/\\]+$", description="file in the fold's folder")
        ] = "checkpoint_final.pth",
        mirror: Annotated[bool, Field(description="average over mirrored images: slower")] = False,
        device: Annotated[
            str | None, Field(description="where it runs; by default where the images are")
        ] = None,
        lesion_labels: Annotated[
            list[int] | None, Field(description="labels that are lesion; by default all but 0")
        ] = None,
        minimum_area: Annotated[
            int | None,
            Field(
                ge=0,
                description=f"smaller regions are dropped; {SHIPPED_MINIMUM} for the shipped model, else 0",
            ),
        ] = None,
        trust: Annotated[
            bool, Field(description="unpickle a checkpoint that holds more than weights")
        ] = False,
    ) -> None:
        self.folder = read_folder(
            SHIPPED if path is None else Path(path).expanduser(), fold, checkpoint, trust
        )
        self.mask_labels = None if lesion_labels is None else tuple(lesion_labels)
        self.minimum_area = (SHIPPED_MINIMUM if path is None else 0) if minimum_area is None else minimum_area
        self.device = None if device is None else torch.device(device)
        self._predictor = Predictor(self.folder, mirror)
        self._slices: SliceReader | None = None if mirror else read_slices(self.folder)
        if self._slices is None:
            need_nnunet("mirror=true" if mirror else f"the model in {self.folder.path}")

    def __call__(self, image: NDArray[Any], affine: NDArray[Any] | None = None) -> NDArray[np.uint8]:
        """Label map of one image.

        Args:
            image: ``(H, W)`` or ``(D, H, W)``.
            affine: ``(4, 4)``; its columns belong to the array's axes in their order, for their spacing in mm.

        Raises:
            ImageError: a slice for a model of volumes.
        """
        if image.ndim < self.folder.dimensions:
            raise ImageError(
                f"{self.folder.path}: {self.folder.configuration} segments volumes (D, H, W), got a slice "
                f"{image.shape}; use the folder of a 2d model."
            )
        device = self.device or torch.device("cpu")
        spacing = spacing_of(affine, image.ndim)
        if self._slices is not None and image.ndim == 2 and self._slices.fits(image.shape, spacing):
            labels = self._slices.segment([as_tensor(image).to(device)])[0]
        elif image.any():
            labels = self._predictor.segment(image, spacing, device)
        else:
            labels = np.zeros(image.shape, np.uint8)
        return without_specks(labels, self.minimum_area)

    def mask(self, images: Tensor) -> Tensor:
        """Where the lesions are; see :meth:`~iqa_registry.segmenter.Segmenter.mask`."""
        if self._slices is None or not self._slices.fits(images.shape[2:], [1.0, 1.0]):
            return super().mask(images)
        moved = images[:, 0].detach().float().to(self.device or images.device)
        found = self._slices.segment(list(moved))
        masks = [self.in_mask(without_specks(labels, self.minimum_area)) for labels in found]
        return torch.from_numpy(np.stack(masks)[:, None]).to(images.device)
