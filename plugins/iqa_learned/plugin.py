"""Declarations of the plugin iqa_learned."""

from __future__ import annotations
