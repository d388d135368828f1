"""Readers of run folders: summaries and plots. Never imports jax."""
