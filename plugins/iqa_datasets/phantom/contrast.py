"""Contrast: from tissue fractions to T1, T2, PD and FLAIR signals by the equations of spin echo and inversion recovery.

    spin echo            S = PD (1 - exp(-TR / T1)) exp(-TE / T2)
    inversion recovery   S = PD |1 - 2 exp(-TI / T1) + exp(-TR / T1)| exp(-TE / T2)

Source of the equations: E. M. Haacke, R. W. Brown, M. R. Thompson and R. Venkatesan, "Magnetic Resonance Imaging:
Physical Principles and Sequence Design", Wiley 1999, chapters 8 and 12; the spin-echo equations neglect TE against TR.
Healthy tissue: R. K.-S. Kwan, A. C. Evans and G. B. Pike, "MRI simulation-based evaluation of image-processing and
classification methods", IEEE Transactions on Medical Imaging 18(11), 1085-1097, 1999, DOI 10.1109/42.816072 (the
constants of BrainWeb, 1.5 T).

Lesions: relaxation times of tumors differ between field strengths, so we take their ratio to the white matter of the
other side within one study and apply it to the white matter above.

* Solid tumor: T1 1863 / 938 ms, T2 90 / 38 ms (high-grade tumors against contralateral white matter, 3 T), and the T2
  of edema 65 / 38 ms (peritumoral white matter): P. de Blank et al., "Magnetic resonance fingerprinting to
  characterize childhood and young adult brain tumors", Pediatric Neurosurgery 54(5), 310-318, 2019,
  DOI 10.1159/000501696.
* Edema: T1 1578 ms in the peritumoral white matter of glioblastomas, 3 T (against the same 938 ms): C. Badve et al.,
  "MR fingerprinting of adult brain tumors: initial experience", American Journal of Neuroradiology 38(3), 492-499,
  2017, DOI 10.3174/ajnr.A5035.
* Proton densities of lesions are our assumption: solid tumor as gray matter, edema between white matter and fluid.
* The necrotic core is our assumption as well: solid tumor mixed with :data:`FLUID_IN_CORE` of fluid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Tissue:
    """What determines a tissue's signal: proton density (water 1), T1 and T2 in ms."""

    density: float
    t1: float
    t2: float


@dataclass(frozen=True, slots=True)
class Protocol:
    """A sequence's times in ms; with an inversion time it is an inversion recovery, else a spin echo."""

    repetition: float
    echo: float
    inversion: float | None = None


_WHITE = Tissue(0.77, 500.0, 70.0)
HEALTHY = {"csf": Tissue(1.0, 2569.0, 329.0), "grey": Tissue(0.86, 833.0, 83.0), "white": _WHITE}
"""Cerebrospinal fluid, gray and white matter at 1.5 T."""
FLUID_IN_CORE = 0.5
LESION = {
    "solid": Tissue(0.86, _WHITE.t1 * 1863 / 938, _WHITE.t2 * 90 / 38),
    "oedema": Tissue(0.82, _WHITE.t1 * 1578 / 938, _WHITE.t2 * 65 / 38),
}
"""Solid tumor and edema at 1.5 T by their ratios to white matter; see the module's docstring."""
PROTOCOLS = {
    "t1": Protocol(500, 12),
    "t2": Protocol(4500, 100),
    "pd": Protocol(5000, 15),
    "flair": Protocol(9000, 110, 1704),
}
"""Conventional protocols at 1.5 T; the inversion time nulls the fluid's mean T1 at that repetition time."""
MODALITIES = tuple(PROTOCOLS)
CLASSES = ("csf", "grey", "white", "core", "solid", "oedema")
"""Order of the signals, and of the labels 1 to 6 of a label map."""
LESION_LABELS = (4, 5, 6)
SPREAD = 0.04
"""Standard deviation of the logarithm of each relaxation time and density between subjects (densities a quarter)."""


def signal(tissue: Tissue, protocol: Protocol) -> float:
    """The signal of a pure tissue.

    Example:
        >>> [round(signal(tissue, PROTOCOLS["t1"]), 4) for tissue in HEALTHY.values()]
        [0.1705, 0.3359, 0.4101]
    """
    saturated = np.exp(-protocol.repetition / tissue.t1)
    if protocol.inversion is None:
        recovered = 1 - saturated
    else:
        recovered = abs(1 - 2 * np.exp(-protocol.inversion / tissue.t1) + saturated)
    return float(tissue.density * recovered * np.exp(-protocol.echo / tissue.t2))


def draw_tissues(rng: np.random.Generator) -> dict[str, Tissue]:
    """A subject's tissues: those above, each value off by a random factor."""
    drawn = {}
    for name, tissue in (HEALTHY | LESION).items():
        density, t1, t2 = np.exp(SPREAD * rng.standard_normal(3).clip(-2, 2) * [0.25, 1, 1])
        drawn[name] = Tissue(min(1.0, tissue.density * density), tissue.t1 * t1, tissue.t2 * t2)
    return drawn


def signals(tissues: Mapping[str, Tissue], modality: str) -> Array:
    """Signals ``(6,)`` of :data:`CLASSES` in [0, 1]: the healthy tissue or lesion that is brightest has about 0.85.

    Args:
        tissues: as :func:`draw_tissues` gives them, or ``HEALTHY | LESION``.
        modality: one of :data:`MODALITIES`.

    Example:
        >>> [round(float(value), 2) for value in signals(HEALTHY | LESION, "t2")]
        [0.85, 0.36, 0.26, 0.75, 0.65, 0.49]
    """
    gain = 0.85 / max(_of_classes(HEALTHY | LESION, modality))
    return (gain * np.asarray(_of_classes(tissues, modality))).astype(np.float32)


def _of_classes(tissues: Mapping[str, Tissue], modality: str) -> list[float]:
    protocol = PROTOCOLS[modality]
    pure = {name: signal(tissue, protocol) for name, tissue in tissues.items()}
    core = FLUID_IN_CORE * pure["csf"] + (1 - FLUID_IN_CORE) * pure["solid"]
    return [{**pure, "core": core}[name] for name in CLASSES]
