"""Write ``tests/iqa_classical/data/nlpd_reference.csv``: what pyiqa's ``nlpd`` gives for the test images.

pyiqa takes three channels only, so grey images are repeated; what it scores is their luminance. Run this again when
the test images change, with the extra ``pyiqa`` installed::

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

TESTS = Path(__file__).parents[1] / "tests" / "iqa_classical"
TABLE = TESTS / "data" / "nlpd_reference.csv"
TOLERANCE = "1e-4"


def test_images() -> ModuleType:
    """The module that makes the image pairs of the tests."""
    spec = importlib.util.spec_from_file_location("test_images", TESTS / "conftest.py")
    if spec is None or spec.loader is None:
        raise ImportError(f"{TESTS / 'conftest.py'} cannot be loaded")
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
