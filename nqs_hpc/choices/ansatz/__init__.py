"""The Ansätze: one file per name (`nqs_hpc.choices`)."""
