"""The integrators of time evolution: one file a name (`nqs_hpc.choices`)."""
