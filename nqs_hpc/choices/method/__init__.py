"""How the parameters follow an evolution in time: one file a name (`nqs_hpc.choices`)."""
