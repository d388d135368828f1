"""The samplers: one file per name (`nqs_hpc.choices`)."""
