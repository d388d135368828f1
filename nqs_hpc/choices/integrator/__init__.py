"""The integrators of time evolution: one file per name (`nqs_hpc.choices`)."""
