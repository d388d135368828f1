"""``python -m nqs_hpc doctor``: whether this machine can run jobs."""
