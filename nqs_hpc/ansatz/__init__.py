"""Wave functions: one file an ansatz, each a NamedTuple of pure functions."""
