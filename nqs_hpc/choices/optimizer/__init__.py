"""The optimizers: one file a name (`nqs_hpc.choices`)."""
