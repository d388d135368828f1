"""Sweeps, `python -m nqs_hpc -m study=NAME KEY=A,B …`: one job per combination, here or by Slurm. No jax, no MPI."""
