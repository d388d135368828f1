"""A run on all ranks: how a start begins, the loop, and what a run says of itself."""
