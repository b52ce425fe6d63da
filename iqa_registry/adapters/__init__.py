"""Metrics in the form that training frameworks take: ``adapters.torchmetrics`` and ``adapters.monai``.

Each module needs its package: ``pip install "iqa-registry[torchmetrics]"`` or ``"iqa-registry[monai]"``.
"""
