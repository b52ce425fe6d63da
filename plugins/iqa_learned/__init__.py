"""Plugin iqa_learned of iqa-registry."""
