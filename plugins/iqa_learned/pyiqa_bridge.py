"""Every metric of pyiqa (IQA-PyTorch) as ``pyiqa/NAME``, by calling the installed package.

pyiqa: C. Chen and J. Mo, "IQA-PyTorch: PyTorch Toolbox for Image Quality Assessment", 2022,
https://github.com/chaofengc/IQA-PyTorch, license PolyForm Noncommercial 1.0.0. Its metrics carry papers and
licenses of their own. It fetches its weights itself; set metrics are left out (see ``pyiqa_configs``).

Images are handed over as pyiqa wants them: three channels in [0, 1], gray repeated. One image or pair at a time
with the generators set to a fixed seed and set back afterwards, because some of its metrics draw random patches: the
score then depends on nothing but the images.
"""

from __future__ import annotations

import contextlib
import io
import random
import socket
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import torch
from torch import Tensor, nn

from iqa_registry.plugin import (
    FullReferenceMetric,
    MissingExtraError,
    NoReferenceMetric,
    NotApplicableError,
    WeightsError,
    install_command,
)

if TYPE_CHECKING:
    from iqa_registry.plugin import MetricSpec, Registry

UNKNOWN = "one declaration serves all metrics of pyiqa, which does not document this property"
EXCEPTIONS = {"symmetry": UNKNOWN, "small images": UNKNOWN}
"""Checks that pyiqa's metrics may fail, with the reason."""
SEED = 123
PREFIX = "pyiqa/"


class PyiqaFullReference(FullReferenceMetric):
    """A metric of pyiqa that compares two images; direction and range as pyiqa has them.

    Args:
        model: what ``pyiqa.create_metric`` gives.
    """

    conformance_exceptions = EXCEPTIONS

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def compare(self, synthesized: Tensor, reference: Tensor, mask: Tensor | None = None) -> Tensor:
        """Scores ``(N,)`` of ``(N, 1 or 3, H, W)`` in [0, 1]; raises as :func:`score_one_by_one`."""
        return score_one_by_one(self.model, self.label, synthesized, reference)


class PyiqaNoReference(NoReferenceMetric):
    """A no-reference metric of pyiqa; direction and range as pyiqa has them.

    Args:
        model: what ``pyiqa.create_metric`` gives.
    """

    conformance_exceptions = EXCEPTIONS

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def score(self, images: Tensor) -> Tensor:
        """Scores ``(N,)`` of ``(N, 1 or 3, H, W)`` in [0, 1]; raises as :func:`score_one_by_one`."""
        return score_one_by_one(self.model, self.label, images)


def score_one_by_one(model: nn.Module, label: str, *images: Tensor) -> Tensor:
    """Call ``model`` for each image or pair.

    Args:
        model: takes one or two ``(1, 3, H, W)``.
        label: name of the metric, for messages.
        images: one or two ``(N, 1 or 3, H, W)``.

    Returns:
        ``(N,)``.

    Raises:
        NotApplicableError: pyiqa rejected an image.

    Example:
        >>> class Brightness(nn.Module):
        ...     def forward(self, image):
        ...         return image.mean((1, 2, 3))
        >>> score_one_by_one(Brightness(), "b", torch.full((2, 1, 4, 4), 0.25)).tolist()
        [0.25, 0.25]
    """
    _follow_device(model, images[0].device)
    color = [x.expand(-1, 3, -1, -1) for x in images]
    scores = []
    for index in range(images[0].shape[0]):
        single = [x[index : index + 1].contiguous() for x in color]
        with fixed_seed(images[0].device):
            try:
                result = model(*single)
            except torch.OutOfMemoryError:
                raise
            except (RuntimeError, ValueError, IndexError, AssertionError, NotImplementedError) as error:
                size = " x ".join(map(str, single[0].shape[2:]))
                reason = " ".join(str(error).split())[:200] or type(error).__name__
                raise NotApplicableError(
                    f"{label} cannot score an image of {size} pixels: {reason}"
                ) from error
        score = torch.as_tensor(result[0] if isinstance(result, tuple | list) else result)
        scores.append(score.reshape(-1)[:1].float())
    return torch.cat(scores)


@contextlib.contextmanager
def fixed_seed(device: torch.device) -> Iterator[None]:
    """Set every generator that pyiqa may draw from to one seed; afterwards each is where it was."""
    python, numpy = random.getstate(), np.random.get_state()
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        random.seed(SEED)
        np.random.seed(SEED)
        torch.manual_seed(SEED)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)


def build_full_reference(*, registry: Registry, spec: MetricSpec) -> PyiqaFullReference:
    """The full-reference metric ``pyiqa/NAME``; raises as :func:`create`."""
    return PyiqaFullReference(create(spec.name, registry.weights.offline))


def build_no_reference(*, registry: Registry, spec: MetricSpec) -> PyiqaNoReference:
    """The no-reference metric ``pyiqa/NAME``; raises as :func:`create`."""
    return PyiqaNoReference(create(spec.name, registry.weights.offline))


def create(name: str, offline: bool = False) -> nn.Module:
    """Let pyiqa build a metric, quietly.

    Args:
        name: ``pyiqa/NAME``.
        offline: never touch the network.

    Raises:
        MissingExtraError: pyiqa, or a package that this metric of it needs, is not installed.
        WeightsError: pyiqa could not fetch the metric's weights.
    """
    try:
        import pyiqa
    except ImportError as error:
        raise MissingExtraError(_missing(name, error)) from error
    return _quietly(lambda: _create(pyiqa, name), offline)


def _create(pyiqa: Any, name: str) -> nn.Module:
    from iqa_learned.pyiqa_configs import installed_metrics

    spelled = {metric.name.lower(): metric.name for metric in installed_metrics()}
    try:
        with fixed_seed(torch.device("cpu")):
            model: nn.Module = pyiqa.create_metric(spelled[name.removeprefix(PREFIX)], device="cpu")
    except ImportError as error:
        raise MissingExtraError(_missing(name, error)) from error
    except OSError as error:  # urllib's, requests' and huggingface_hub's errors are all of this kind
        _refuse(name, error)
    return model.eval()


def _refuse(name: str, error: OSError) -> NoReturn:
    from iqa_registry.plugin import torch_hub_folder

    reason = " ".join(str(error).split())[:200]
    raise WeightsError(
        f"{name}: pyiqa could not get its weights ({reason}).\n"
        f"On a machine with a network run this metric once, then copy {torch_hub_folder()} (TORCH_HOME) here."
    ) from error


def _missing(name: str, error: ImportError) -> str:
    command = install_command("pyiqa")
    if error.name == "pyiqa":
        return f"{name} needs pyiqa, which is not installed. Run: {command}"
    lacking = f"{error.name!r} is not installed" if error.name else str(error)
    return f"{name}: pyiqa needs more than it brings along: {lacking}. Install that beside: {command}"


def _quietly(action: Callable[[], nn.Module], offline: bool) -> nn.Module:
    """Keep pyiqa silent: it prints what it loads; that is no result and must not reach stdout."""
    with contextlib.redirect_stdout(io.StringIO()), _no_network() if offline else contextlib.nullcontext():
        return action()


@contextlib.contextmanager
def _no_network() -> Iterator[None]:
    """Keep pyiqa, which has no offline switch, off the network: without names of hosts nothing of it reaches one."""

    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise OSError("IQA_OFFLINE forbids the network")

    original = socket.getaddrinfo
    socket.getaddrinfo = refuse
    try:
        yield
    finally:
        socket.getaddrinfo = original


def _follow_device(model: nn.Module, device: torch.device) -> None:
    """Tell pyiqa's wrapper that it has been moved: it sends images to the device that it was made for."""
    if isinstance(getattr(model, "device", None), torch.device | str):
        setattr(model, "device", device)  # noqa: B010 - the stubs admit only tensors and modules
