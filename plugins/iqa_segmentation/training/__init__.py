"""Training a small 2-D segmenter on the subjects of a dataset."""
