"""The life of a run folder: checkpoints, logs, signals, manifest."""
