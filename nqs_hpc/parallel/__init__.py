"""Ranks, collectives, random keys and chunks: everything that knows a computation is distributed."""
