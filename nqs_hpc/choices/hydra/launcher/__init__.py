"""The launchers of a sweep (-m): one file per name (`nqs_hpc.choices`). They belong to a sweep, not to a Config."""
