"""Plugin iqa_classical of iqa-registry."""
