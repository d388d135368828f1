"""Estimates with honest errors, and diagnostics of Markov chains."""
