"""The observables: one file per name (`nqs_hpc.choices`)."""
