"""The lattices: one file a name (`nqs_hpc.choices`)."""
