"""Everything that a plugin needs, in one import.

Each name is imported when it is first used, so ``from iqa_registry.plugin import MetricSpec, hookimpl`` loads neither
torch nor NumPy. The names are listed once, in ``plugin.pyi``.

Example:
    >>> from iqa_registry.plugin import FullReferenceMetric
    >>> import torch
    >>> class Error(FullReferenceMetric):
    ...     def compare(self, synthesized, reference, mask=None):
    ...         return (synthesized - reference).abs().mean(dim=(1, 2, 3))
    >>> Error()(torch.full((1, 1, 2, 2), 0.75), torch.full((1, 1, 2, 2), 0.25)).item()
    0.5
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub("iqa_registry", __file__)
