"""Optimisers: first order, stochastic reconfiguration in parameter and in sample space."""
