"""K-CROSS: a learned metric of synthesized MRI with k-space, tumor and structure branches."""
