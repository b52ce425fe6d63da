"""What the branches are built from: layers, k-space, U-Nets, descriptors and score networks."""
