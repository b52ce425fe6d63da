"""The words for what the axes of an array are."""

from __future__ import annotations

from typing import Any, Literal, get_args

Layout = Literal["XYZ", "ZYX", "NHW", "CHW", "HWC", "NCHW", "NHWC"]
"""``XYZ`` is a volume as nibabel gives it, ``ZYX`` one as SimpleITK does; ``NHW`` is a stack of 2-D images, each scored
by itself; C is the axis of channels."""
LAYOUTS: tuple[str, ...] = get_args(Layout)


def check_layout(layout: Any) -> str | None:
    """The layout in capital letters.

    Raises:
        ValueError: none of :data:`LAYOUTS`.

    Example:
        >>> check_layout("nhw"), check_layout(None)
        ('NHW', None)
    """
    if layout is None:
        return None
    if not isinstance(layout, str) or layout.upper() not in LAYOUTS:
        raise ValueError(f"{layout!r} is not one of {', '.join(LAYOUTS)}.")
    return layout.upper()
