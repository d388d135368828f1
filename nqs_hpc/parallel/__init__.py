"""Ranks, collectives, random keys and chunks: all code that knows that a computation is distributed."""
