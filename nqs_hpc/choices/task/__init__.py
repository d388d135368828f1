"""The tasks: one file per name (`nqs_hpc.choices`)."""
