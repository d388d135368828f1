"""Files of other programs, read from and written to text or bytes. Loads neither jax nor MPI."""
