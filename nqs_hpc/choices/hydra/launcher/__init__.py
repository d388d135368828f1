"""The launchers of a sweep (-m): one file a name (`nqs_hpc.choices`). They are no part of a Config."""
