"""Further branches for K-CROSS."""
