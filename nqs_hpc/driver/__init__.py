"""Methods: what one step of a task computes."""
