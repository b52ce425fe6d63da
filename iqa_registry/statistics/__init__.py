"""Statistics on arrays: agreement with ratings, chance, intervals, raters, correlation of systems."""
