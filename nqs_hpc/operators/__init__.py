"""Hamiltonians as moves and matrix elements, and their exact matrices for small systems."""
