"""Samplers of |psi|^2: Markov chains and exact enumeration."""
