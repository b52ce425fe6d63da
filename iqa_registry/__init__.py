"""A registry of image-quality metrics for medical image synthesis and translation."""

from __future__ import annotations
