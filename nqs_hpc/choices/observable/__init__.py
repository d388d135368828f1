"""The observables: one file a name (`nqs_hpc.choices`)."""
