"""Rankers: ways to bring a metric's scores onto the raters' scale."""
