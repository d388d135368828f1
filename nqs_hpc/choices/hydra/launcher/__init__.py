"""The launchers of a sweep (-m): one file a name (`nqs_hpc.choices`). They belong to a sweep, not to a Config."""
