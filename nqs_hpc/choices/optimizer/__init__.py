"""The optimizers: one file per name (`nqs_hpc.choices`)."""
