"""nqs_hpc: a distributed job framework for neural quantum states."""

__version__ = "0.1.0"
