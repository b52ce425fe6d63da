"""Images: reading, pairing, bringing onto one intensity scale and one grid, masks.

:mod:`~iqa_registry.images.formats` reads every format into an :class:`~iqa_registry.images.formats.Image`;
:mod:`~iqa_registry.images.pairs` says which images belong together;
:mod:`~iqa_registry.images.intensity` resolves the intensity rule;
:mod:`~iqa_registry.images.geometry` checks and fixes sizes, affines and shifts;
:mod:`~iqa_registry.images.masks` reads masks and label maps.
"""
