"""Estimates with reliable errors, and diagnostics of Markov chains."""
