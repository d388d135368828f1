"""Derivatives of log psi over samples: Jacobian rows, forces."""
