"""The physical system: lattices, Hilbert spaces, symmetries.

NumPy only, so that input is checked before jax is loaded.
"""
