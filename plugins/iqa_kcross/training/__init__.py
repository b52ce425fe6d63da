"""Training of K-CROSS: stage one (networks, Algorithm 1) and stage two (score networks, Algorithm 2)."""
