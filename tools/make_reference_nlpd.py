"""Write ``tests/iqa_classical/data/nlpd_reference.csv``: golden values of ``nlpd`` for the test images.

A golden value is the score of an independent implementation, never of our own: here of pyiqa's ``nlpd``, with its
version in the column ``source`` and the allowed difference in ``tolerance``. If the other implementation is always
installed with the tests (piq, scikit-image), there is no table: ``conformance_tests(..., reference=...)`` compares
with it directly.

pyiqa takes three channels only, so gray images are repeated; it scores their luminance. Install the extra ``pyiqa`` and
rerun this when the test images (``tests/support/image_pairs.py``) change::

    python tools/make_reference_nlpd.py
"""

from __future__ import annotations

import csv
import importlib.util
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

TESTS = Path(__file__).parents[1] / "tests"
TABLE = TESTS / "iqa_classical" / "data" / "nlpd_reference.csv"
IMAGES = TESTS / "support" / "image_pairs.py"
TOLERANCE = "1e-4"


def test_images() -> ModuleType:
    """The module that makes the image pairs of the tests."""
    spec = importlib.util.spec_from_file_location("image_pairs", IMAGES)
    if spec is None or spec.loader is None:
        raise ImportError(f"{IMAGES} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> int:
    """Score every pair and write the table; exit code 1 if the MRI volumes are not there."""
    warnings.simplefilter("ignore")
    import pyiqa

    images = test_images()
    if not images.TCGA.is_dir():
        print(f"{images.TCGA} is missing; the table needs its MRI slices", file=sys.stderr)
        return 1
    metric = pyiqa.create_metric("nlpd", device="cpu")
    source = f"pyiqa {version('pyiqa')}"
    TABLE.parent.mkdir(exist_ok=True)
    with TABLE.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["image", "metric", "value", "tolerance", "source"])
        for name in images.NAMES:
            pair = [image.expand(-1, 3, -1, -1) for image in images.load_pair(name)]
            writer.writerow([name, "nlpd", f"{metric(*pair).item():.7f}", TOLERANCE, source])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
