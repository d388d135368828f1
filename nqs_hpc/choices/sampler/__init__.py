"""The samplers: one file a name (`nqs_hpc.choices`)."""
