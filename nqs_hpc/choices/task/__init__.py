"""The tasks: one file a name (`nqs_hpc.choices`)."""
