r"""NCC, the normalized cross-correlation.

.. math:: \mathrm{NCC}(x, y) = \frac{\sigma_{xy} + c}{\sqrt{(\sigma_x^2 + c) (\sigma_y^2 + c)}}, \quad c = 10^{-8}

with variances and covariance over all pixels. Without c it is Pearson's correlation coefficient; with c, two constant
images score 1. Brightness and gain do not change the score; inverted contrast gives -1. Higher is better.

Source: G. P. Penney et al. (1998), "A comparison of similarity measures for use in 2-D-3-D medical image
registration", IEEE Transactions on Medical Imaging 17(4), 586-595. DOI 10.1109/42.730403.
"""

from iqa_registry.plugin import FullReferenceMetric


class NCC(FullReferenceMetric):
    """Normalized cross-correlation, in [-1, 1], higher is better; masks are exact."""

    def compare(self, synthesized, reference, mask=None):
        """Scores ``(N,)``; NaN where the mask is empty."""
        inside = synthesized.new_ones(synthesized.shape) if mask is None else mask.expand_as(synthesized)
        weight = inside / inside.sum((1, 2, 3), keepdim=True)
        x, y = (image - (weight * image).sum((1, 2, 3), keepdim=True) for image in (synthesized, reference))
        xy, xx, yy = ((weight * a * b).sum((1, 2, 3)) + 1e-8 for a, b in ((x, y), (x, x), (y, y)))
        return xy / (xx * yy).sqrt()
