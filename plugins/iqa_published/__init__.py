"""Published results recomputed, the published numbers beside them."""
