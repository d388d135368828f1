"""Sweeps, `python -m nqs_hpc -m study=NAME KEY=A,B …`: a job a combination, here or by Slurm. No jax, no MPI."""
