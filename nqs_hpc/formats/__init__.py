"""Files of other programs, as text or bytes and what they hold; the way back, too. Loads neither jax nor MPI."""
