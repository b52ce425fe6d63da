"""Statistics of scores: intervals now, agreement with ratings where the rankers are."""
