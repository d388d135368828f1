"""The Hamiltonians: one file a name (`nqs_hpc.choices`)."""
