"""The Hamiltonians: one file per name (`nqs_hpc.choices`)."""
