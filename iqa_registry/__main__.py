"""``python -m iqa_registry`` is ``iqa``."""

from __future__ import annotations

from iqa_registry.cli import main

if __name__ == "__main__":
    main()
