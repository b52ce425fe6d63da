"""nnU-Net's own predictor, kept quiet: it prints, sets environment variables and changes settings of torch."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import threading
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from iqa_registry.plugin import MissingExtraError, WeightsError
from iqa_segmentation.nnunet_folder import ModelFolder
from iqa_segmentation.plain_unet import build_unet, is_plain

NO_SPACING = 999.0
"""What nnU-Net takes as the distance of slices where there is only one."""


def need_nnunet(what: str) -> None:
    """Check that nnU-Net is installed.

    Args:
        what: what needs it, for the message.

    Raises:
        MissingExtraError: it is not.
    """
    if importlib.util.find_spec("nnunetv2") is None:
        raise MissingExtraError.of(f"{what} needs nnU-Net", "nnunet")


@contextlib.contextmanager
def unchanged() -> Iterator[None]:
    """Drop what is printed and warned, and leave the environment and torch's settings as they were."""
    environment = dict(os.environ)
    threads, benchmark = torch.get_num_threads(), torch.backends.cudnn.benchmark
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name in set(os.environ) - set(environment):
            del os.environ[name]
        os.environ.update(environment)
        torch.set_num_threads(threads)
        torch.backends.cudnn.benchmark = benchmark


class Predictor:
    """Segments one image at a time, exactly as nnU-Net does.

    nnU-Net is imported for the first image: that takes seconds.

    Args:
        folder: the model.
        mirror: whether to average over mirrored images.
    """

    def __init__(self, folder: ModelFolder, mirror: bool = False) -> None:
        self.folder, self.mirror = folder, mirror
        self._made: dict[torch.device, Any] = {}
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        # A lock cannot be pickled; a copy gets one of its own.
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())

    def segment(self, image: NDArray[Any], spacing: list[float], device: torch.device) -> NDArray[np.uint8]:
        """Label map of ``(H, W)`` or ``(D, H, W)``; not all zero.

        Raises:
            MissingExtraError: nnU-Net is not installed.
        """
        need_nnunet(_purpose(self.folder, image, self.mirror))
        volume = image.astype(np.float32).reshape((1,) * (4 - image.ndim) + image.shape)
        whole = [NO_SPACING] * (3 - len(spacing)) + spacing
        # One at a time: the predictor loads its weights into the network anew for each image.
        with self._lock, unchanged():
            if device not in self._made:
                self._made[device] = make_predictor(self.folder, self.mirror, device)
            labels = self._made[device].predict_single_npy_array(volume, {"spacing": whole})
        return np.asarray(labels).reshape(image.shape).astype(np.uint8)


def _purpose(folder: ModelFolder, image: NDArray[Any], mirror: bool) -> str:
    """What of a request the short way for slices does not do."""
    if mirror:
        return "mirror=true"
    if image.ndim == 3:
        return "segmenting a whole volume"
    return "resampling an image to the spacing of " + str(folder.path)


def build_network(architecture: Mapping[str, Any], classes: int, name: str) -> torch.nn.Module:
    """The network of the plans' entry ``architecture``, one channel in; by nnU-Net's own code where it is not plain.

    Raises:
        MissingExtraError: nnU-Net is needed and not installed; ``name`` says for what.
    """
    if is_plain(architecture):
        return build_unet(architecture["arch_kwargs"], classes)
    need_nnunet(f"the network of {name}")
    with unchanged():
        from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

        network: torch.nn.Module = get_network_from_plans(
            architecture["network_class_name"],
            architecture["arch_kwargs"],
            architecture["_kw_requires_import"],
            1,
            classes,
            deep_supervision=False,
        )
    return network


def make_predictor(folder: ModelFolder, mirror: bool, device: torch.device) -> Any:
    """An ``nnUNetPredictor`` with the folder's network, from what has been read already.

    Its own ``initialize_from_trained_model_folder`` would unpickle the checkpoint freely.
    """
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    predictor = nnUNetPredictor(
        use_mirroring=mirror,
        perform_everything_on_device=device.type == "cuda",
        device=device,
        allow_tqdm=False,
    )
    plans = PlansManager(folder.plans)
    configuration = plans.get_configuration(folder.configuration)
    heads = plans.get_label_manager(folder.dataset).num_segmentation_heads
    network = _build(folder, plans, configuration, heads)
    weights = load_weights(network, folder)
    predictor.manual_initialization(
        network,
        plans,
        configuration,
        [weights],
        folder.dataset,
        folder.checkpoint["trainer_name"],
        folder.checkpoint["inference_allowed_mirroring_axes"],
    )
    return predictor


def load_weights(network: torch.nn.Module, folder: ModelFolder) -> dict[str, torch.Tensor]:
    """Load a folder's weights into its network, and return them by the network's names.

    Raises:
        WeightsError: they do not fit; the first names are given.
    """
    # A network trained by several processes, or compiled, has a prefix before its names.
    given = {
        name.removeprefix("module.").removeprefix("_orig_mod."): tensor
        for name, tensor in folder.checkpoint["network_weights"].items()
    }
    try:
        network.load_state_dict(given)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:160]
        raise WeightsError(
            f"{folder.file}: does not fit the network of {folder.path / 'plans.json'}: {reason}"
        ) from error
    return given


def _build(folder: ModelFolder, plans: Any, configuration: Any, heads: int) -> Any:
    trainer = folder.checkpoint["trainer_name"]
    architecture = (
        configuration.network_arch_class_name,
        configuration.network_arch_init_kwargs,
        configuration.network_arch_init_kwargs_req_import,
    )
    if trainer == "nnUNetTrainer":
        # What that trainer does, without the seconds that importing it takes.
        from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

        return get_network_from_plans(*architecture, 1, heads, deep_supervision=False)
    found = _find_trainer(trainer, folder)
    import inspect

    if "plans_manager" in inspect.signature(found.build_network_architecture).parameters:
        return found.build_network_architecture(plans, configuration, 1, heads, enable_deep_supervision=False)
    return found.build_network_architecture(*architecture, 1, heads, enable_deep_supervision=False)


def _find_trainer(name: str, folder: ModelFolder) -> Any:
    from pathlib import Path

    import nnunetv2
    from nnunetv2.utilities.find_class_by_name import recursive_find_python_class

    place = Path(nnunetv2.__path__[0]) / "training" / "nnUNetTrainer"
    found = recursive_find_python_class(str(place), name, "nnunetv2.training.nnUNetTrainer")
    if found is None:
        raise WeightsError(
            f"{folder.path}: was trained by {name!r}, which the installed nnU-Net does not have; "
            "install the package that it comes from."
        )
    return found
