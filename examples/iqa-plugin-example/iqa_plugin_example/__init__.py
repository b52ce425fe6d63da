"""An example plugin for iqa-registry."""
