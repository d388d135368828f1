"""The Ansätze: one file a name (`nqs_hpc.choices`)."""
