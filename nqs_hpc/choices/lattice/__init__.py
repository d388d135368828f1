"""The lattices: one file per name (`nqs_hpc.choices`)."""
