"""Datasets: IXI, BraTS and NIRPS as they lie on disk, and the phantom (simulated brain MRI with simulated raters)."""
