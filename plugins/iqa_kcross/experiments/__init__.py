"""The experiments of K-CROSS on your own images and ratings: Tables II to VIII of arXiv:2307.04296 in shape.

:mod:`evaluate` (Tables II and IV), :mod:`ablate` (Table III), :mod:`segmenters` (Table V) and :mod:`domain_gap` (Tables
VI to VIII). Images are scored by the engine of ``iqa evaluate`` and judged as by ``iqa agree``.
"""
