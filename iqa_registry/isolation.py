"""The code of plugins leaves nothing behind: settings of the process are put back, and stdout stays ours.

Metrics of one run share a process. What one of them sets for all (the default dtype, the number of threads, a seed)
would change the scores of the next, and what it prints would end up in the table that ``--csv`` writes. Nothing is
imported here: a library that is not loaded has no settings to keep.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple, TextIO

_RESERVED: ContextVar[bool] = ContextVar("stdout is reserved for results", default=False)


class _Setting(NamedTuple):
    """Something that holds for the whole process."""

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], object]
    initial: Any = None
    """What it is when its library has just been loaded."""


@contextmanager
def isolated() -> Iterator[None]:
    """Run the code of a plugin: settings and random states are as before afterwards.

    Kept are the default dtype and device, the grad mode, deterministic algorithms, the number of threads, the flags of
    cuDNN and oneDNN, numpy's handling of floating-point errors, the states of the random generators (torch, numpy,
    Python), the current folder, and the warnings' filters, of which only those that concern all modules are removed.
    Inside :func:`stdout_reserved`, what is printed goes to stderr.

    Example:
        >>> random.seed(1)
        >>> with isolated():
        ...     random.seed(2)
        >>> random.random() == random.Random(1).random()
        True
    """
    before = {module: [item.read() for item in items] for module, items in _loaded().items()}
    generators = [(write, read()) for _, read, write in _generators()]
    filters = list(warnings.filters)
    with _stdout_elsewhere() if _RESERVED.get() else contextlib.nullcontext():
        try:
            yield
        finally:
            for module, items in _loaded().items():
                earlier = before.get(module, [item.initial for item in items])
                _restore(items, earlier)
            for write, state in generators:
                write(state)
            for item in [item for item in warnings.filters if item not in filters and _concerns_all(item)]:
                warnings.filters.remove(item)  # type: ignore[attr-defined]


@contextmanager
def stdout_reserved() -> Iterator[None]:
    """Inside, :func:`isolated` leads what is printed to stderr; the command line reserves stdout for its results."""
    token = _RESERVED.set(True)
    try:
        yield
    finally:
        _RESERVED.reset(token)


def process_settings() -> dict[str, Any]:
    """What :func:`isolated` puts back, by name, as far as it is loaded.

    Example:
        >>> before = process_settings()
        >>> _ = random.seed(7)
        >>> [name for name, value in process_settings().items() if value != before[name]]
        ['the random state of Python']
    """
    found = {item.name: item.read() for items in _loaded().values() for item in items}
    for name, read, _ in _generators():
        found[f"the random state of {name}"] = _comparable(read())
    return found


def _comparable(state: Any) -> Any:
    """A state without arrays, which have no single answer to whether they are equal."""
    if hasattr(state, "tolist"):
        return state.tolist()
    return [_comparable(item) for item in state] if isinstance(state, tuple | list) else state


def _restore(items: list[_Setting], earlier: list[Any]) -> None:
    for item, value in zip(items, earlier, strict=True):
        if value is not None and item.read() != value:
            item.write(value)


def _loaded() -> dict[str, list[_Setting]]:
    """The settings of the libraries that are loaded."""
    makers = {"os": _of_process, "numpy": _of_numpy, "torch": _of_torch}
    # A library that is being imported at this moment has no settings yet.
    return {
        name: make()
        for name, make in makers.items()
        if not getattr(
            getattr(sys.modules.get(name), "__spec__", None), "_initializing", name not in sys.modules
        )
    }


def _of_process() -> list[_Setting]:
    return [_Setting("the current folder", _folder, os.chdir)]


def _folder() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109 - a Path would be made for each call of a metric
    except OSError:
        return None


def _of_numpy() -> list[_Setting]:
    import numpy as np

    return [_Setting("numpy.seterr", np.geterr, lambda kept: np.seterr(**kept))]


def _default_device() -> str:
    import torch

    try:
        return str(torch.get_default_device())
    except AttributeError:  # torch 2.6, where it was set to None before
        return "cpu"


def _set_default_device(name: str) -> None:
    import torch

    torch.set_default_device(None if name == "cpu" else name)
    kept: Any = getattr(torch, "_GLOBAL_DEVICE_CONTEXT", None)
    # After which torch 2.6 could not say what the default device is.
    if getattr(kept, "device_context", "") is None:
        del kept.device_context


def _of_torch() -> list[_Setting]:
    import torch

    cudnn = torch.backends.cudnn

    def flag(name: str) -> _Setting:
        return _Setting(
            f"torch.backends.cudnn.{name}",
            lambda: getattr(cudnn, name),
            lambda value: setattr(cudnn, name, value),
        )

    return [
        _Setting("the default dtype", torch.get_default_dtype, torch.set_default_dtype, torch.float32),
        _Setting("the default device", _default_device, _set_default_device, "cpu"),
        _Setting("the grad mode", torch.is_grad_enabled, torch.set_grad_enabled, True),
        _Setting("the detection of anomalies", torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
        _Setting(
            "deterministic algorithms", torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode
        ),
        _Setting("the number of threads", torch.get_num_threads, torch.set_num_threads),
        _Setting(
            "the precision of products",
            torch.get_float32_matmul_precision,
            torch.set_float32_matmul_precision,
        ),
        _Setting("oneDNN", torch._C._get_mkldnn_enabled, torch._C._set_mkldnn_enabled),
        *map(flag, ("enabled", "benchmark", "deterministic")),
    ]


def _generators() -> Iterator[tuple[str, Callable[[], Any], Callable[[Any], object]]]:
    """The name of each random generator of the process, and how its state is read and written."""
    yield "Python", random.getstate, random.setstate
    numbers: Any = sys.modules.get("numpy.random")
    if hasattr(numbers, "set_state"):
        yield "numpy", numbers.get_state, numbers.set_state
    torch: Any = sys.modules.get("torch")
    if hasattr(torch, "set_rng_state"):
        yield "torch", torch.get_rng_state, torch.set_rng_state
        if torch.cuda.is_initialized():
            yield "torch on CUDA", torch.cuda.get_rng_state_all, torch.cuda.set_rng_state_all


def _concerns_all(entry: tuple[Any, ...]) -> bool:
    """Whether a filter of warnings names neither a text nor a module, so that it silences the code of others."""
    _, message, _, module, _ = entry
    return message is None and module is None


@contextmanager
def _stdout_elsewhere() -> Iterator[None]:
    """Lead ``print`` and what libraries in C write to stderr, whoever has kept hold of stdout."""
    streams = {id(stream): stream for stream in (sys.stdout, sys.__stdout__) if stream is not None}
    with contextlib.redirect_stdout(sys.stderr), contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # a closed descriptor cannot be led elsewhere
            kept = os.dup(1)
            stack.callback(os.close, kept)
            _flush(streams.values())
            os.dup2(2, 1)
            stack.callback(os.dup2, kept, 1)
            stack.callback(_flush, streams.values())
        yield


def _flush(streams: Iterable[TextIO]) -> None:
    """Write out what Python and C hold back."""
    for stream in streams:
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    with contextlib.suppress(OSError, TypeError, AttributeError):
        ctypes.CDLL(None).fflush(None)
