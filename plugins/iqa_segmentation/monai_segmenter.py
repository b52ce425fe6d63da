"""Networks of MONAI as segmenters.

M. J. Cardoso et al., "MONAI: an open-source framework for deep learning in healthcare", 2022, arXiv:2211.02701. The
networks: AttentionUnet (Oktay 2018, arXiv:1804.03999), SwinUNETR (Hatamizadeh 2022, arXiv:2201.01266), UNETR
(Hatamizadeh 2022, arXiv:2103.10504), DynUNet (Isensee 2021, DOI 10.1038/s41592-020-01008-z), SegResNet (Myronenko 2018,
arXiv:1810.11654).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from iqa_registry.plugin import ImageError, ParameterError, Segmenter, open_file
from iqa_segmentation.frames import as_tensor, in_windows, nonzero_box, pad_to, standardize, without_specks
from iqa_segmentation.monai_files import load_network, named_tensors, read_description
from iqa_segmentation.monai_networks import ARCHITECTURES, Architecture, build_network, make_shape

Normalization = Literal["zscore", "none"]


class Monai(Segmenter):
    """A network of MONAI with a weight file.

    An image is cropped to what is not zero, brought to mean 0 and deviation 1 (``zscore``) or left on its scale
    (``none``), padded around its middle to the patch at least, and segmented at once, or, where it is larger than the
    patch, window by window (half overlapping, weighted by a Gaussian). The label is the class with the largest
    output. A 2-D network goes through volumes slice by slice.

    A file that `iqa segment train --segmenter monai` wrote says all but ``weights`` itself.

    Raises:
        ParameterError: no architecture is known, or channels or a patch that it cannot have.
        WeightsError: the file is missing, damaged, or of another network.
    """

    def __init__(
        self,
        weights: Annotated[str, Field(description="safetensors, or a state dict of torch.save")],
        architecture: Annotated[Architecture | None, Field(description="which network")] = None,
        channels: Annotated[
            list[int] | None,
            Field(
                description="of each stage (AttentionUnet, DynUNet), of the first (SegResNet), the feature size "
                "(SwinUNETR), feature size + width (UNETR)"
            ),
        ] = None,
        classes: Annotated[int | None, Field(ge=2, description="labels, background included; 2")] = None,
        dimensions: Annotated[Literal[2, 3] | None, Field(description="2: slices, 3: volumes; 2")] = None,
        patch: Annotated[int | None, Field(ge=16, description="side of what the network sees; 256")] = None,
        normalization: Annotated[Normalization | None, Field(description="zscore or none; zscore")] = None,
        device: Annotated[
            str | None, Field(description="where it runs; by default where the images are")
        ] = None,
        lesion_labels: Annotated[
            list[int] | None, Field(description="labels that are lesion; by default all but 0")
        ] = None,
        minimum_area: Annotated[int, Field(ge=0, description="smaller regions are dropped, pixels")] = 0,
    ) -> None:
        path = Path(weights).expanduser()
        file = open_file(path, path.name, convert=named_tensors)
        described = read_description(file)
        self.shape = make_shape(
            _known(architecture or described.get("architecture"), path),
            channels or described.get("channels"),
            classes or described.get("classes", 2),
            dimensions or described.get("dimensions", 2),
            patch or described.get("patch", 256),
        )
        self.normalization = normalization or described.get("normalization") or "zscore"
        self.mask_labels = None if lesion_labels is None else tuple(lesion_labels)
        self.minimum_area, self.path = minimum_area, path
        self.device = None if device is None else torch.device(device)
        self.network = build_network(self.shape).eval().requires_grad_(False)
        load_network(self.network, file, self.shape)

    def __call__(self, image: NDArray[Any], affine: NDArray[Any] | None = None) -> NDArray[np.uint8]:
        """Label map of ``(H, W)`` or ``(D, H, W)``; the affine is not used.

        Raises:
            ImageError: a slice for a network of volumes.
        """
        if image.ndim < self.shape.dimensions:
            raise ImageError(
                f"{self.path}: {self.shape.architecture} with dimensions=3 segments volumes (D, H, W), got a slice "
                f"{image.shape}; use a network with dimensions=2."
            )
        tensor = as_tensor(image).to(self.device or torch.device("cpu"))
        if image.ndim > self.shape.dimensions:
            labels = np.stack([self._segment(plane) for plane in tensor])
        else:
            labels = self._segment(tensor)
        return without_specks(labels, self.minimum_area)

    def mask(self, images: Tensor) -> Tensor:
        """Where the lesions are; see :meth:`~iqa_registry.segmenter.Segmenter.mask`."""
        if self.shape.dimensions == 3:
            return super().mask(images)
        moved = images[:, 0].detach().float().to(self.device or images.device)
        masks = [self.in_mask(without_specks(self._segment(image), self.minimum_area)) for image in moved]
        return torch.from_numpy(np.stack(masks)[:, None]).to(images.device)

    @torch.inference_mode()
    def _segment(self, image: Tensor) -> NDArray[np.uint8]:
        labels = np.zeros(tuple(image.shape), np.uint8)
        box = nonzero_box(image)
        part = image[box]
        if not part.numel():
            return labels
        if self.normalization == "zscore":
            part = standardize(part)
        padded, place = pad_to(part, (self.shape.patch,) * part.ndim)
        network = self.network.to(image.device)
        logits = in_windows(network, padded[None, None], self.shape.patch)
        labels[box] = logits[0].argmax(dim=0)[place].to(torch.uint8).cpu().numpy()
        return labels


def _known(architecture: str | None, path: Path) -> str:
    """The architecture, or an error that says how to name it."""
    if architecture is None:
        raise ParameterError(
            f"monai: {path} does not say which network it is for. Add architecture=, one of "
            f"{', '.join(ARCHITECTURES)}."
        )
    return architecture
