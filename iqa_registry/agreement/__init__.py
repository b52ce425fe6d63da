"""Agreement of metrics with what they are to stand for: human ratings, or a downstream score."""
