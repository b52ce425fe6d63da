"""Declarations of the plugin iqa_classical."""

from __future__ import annotations
