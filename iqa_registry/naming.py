"""Names of metrics as people type them: in any case, several in one text, and names of metrics that are not here."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

OF_SETS = frozenset(("fid", "kid", "frd", "cmmd", "is", "inception-score", "mmd", "fvd"))
"""What is usual for comparing two sets of images, without pairs."""
ABOUT = {
    "ncc": "correlation",
    "lncc": "correlation",
    "zncc": "correlation",
    "cc": "correlation",
    "pcc": "correlation",
    "nmi": "mutual information",
    "mi": "mutual information",
    "nmse": "squared error",
    "l1": "absolute error",
    "l2": "squared error",
    "snr": "signal-to-noise",
    "perceptual": "perceptual",
}
"""Usual names, with what the summary of a similar metric says."""


def canonical(known: Collection[str], name: str) -> str:
    """The registered name that differs in case only, if there is exactly one; else the name as it is.

    Example:
        >>> canonical(["ssim", "psnr"], "SSIM"), canonical(["a", "A"], "a"), canonical(["ab", "aB"], "AB")
        ('ssim', 'a', 'AB')
    """
    if name in known:
        return name
    alike = [item for item in known if item.casefold() == name.casefold()]
    return alike[0] if len(alike) == 1 else name


def split_metrics(texts: Iterable[str], known: Collection[str]) -> list[str]:
    """One text per metric: ``ssim,psnr`` are two; the commas of parameters stay.

    A part after a comma is a metric of its own if it begins with a known name, or if nothing before it has parameters.
    A known name that holds a comma stays whole.

    Args:
        texts: what was given, each with one metric or several.
        known: the registered names.

    Example:
        >>> split_metrics(["ssim, psnr", "lpips:net=vgg,version=0.1,ssim:window=7"], ["lpips", "psnr", "ssim"])
        ['ssim', 'psnr', 'lpips:net=vgg,version=0.1', 'ssim:window=7']
    """
    found: list[str] = []
    for text in texts:
        if text in known:
            found.append(text)
            continue
        start, depth = len(found), 0
        for part in text.split(","):
            name = part.strip().partition(":")[0]
            is_metric = "=" not in name and canonical(known, name) in known
            plain = len(found) > start and ":" not in found[-1] and "=" not in part.partition(":")[0]
            if len(found) > start and (depth or not (is_metric or plain)):
                found[-1] += f",{part}"
            else:
                found.append(part.strip())
            depth += part.count("[") - part.count("]")
    return found


def chosen(texts: Iterable[str], known: Collection[str]) -> list[str]:
    """The columns of a table that are asked for; a text may name several, in any case.

    Example:
        >>> chosen(["SSIM,psnr"], ["ssim", "psnr", "ssim:window=7"])
        ['ssim', 'psnr']
    """
    return list(dict.fromkeys(canonical(known, text) for text in split_metrics(texts, known)))


def similar(metrics: Mapping[str, Any], name: str) -> str:
    """What is to be said of a usual metric that is not registered, with a space before it; else nothing.

    Example:
        >>> similar({}, "fid")
        ' It compares two sets of images, and no metric of this kind is installed.'
    """
    key = name.casefold()
    if key in OF_SETS:
        sets = [item for item, spec in metrics.items() if spec.kind == "distribution"]
        if sets:
            return f" Metrics of sets of images are {', '.join(sets[:3])}."
        return " It compares two sets of images, and no metric of this kind is installed."
    if key not in ABOUT:
        return ""
    near = [item for item, spec in metrics.items() if ABOUT[key] in spec.summary.casefold()]
    if near:
        return f" Similar: {', '.join(near[:3])}."
    return f" No metric of this kind ({ABOUT[key]}) is installed."
