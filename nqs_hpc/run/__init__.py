"""A run on all ranks: the beginning of a start, the loop, the end, and the records of a run."""
