"""A registry of image-quality metrics for medical image synthesis and translation.

Each name is imported when it is first used, so ``import iqa_registry`` stays fast. The names are listed once, in
``__init__.pyi``. What a plugin needs is in :mod:`iqa_registry.plugin`.

Example:
    >>> import torch, iqa_registry as iqa
    >>> image = torch.linspace(0, 1, 64 * 64).reshape(1, 1, 64, 64)
    >>> round(float(iqa.metric("ssim")(image, image)), 4)
    1.0
"""

from typing import Any

import lazy_loader

_find, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("iqa-registry")
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _find(name)
