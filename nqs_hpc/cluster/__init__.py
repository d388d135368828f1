"""Submission of one job to Slurm: batch scripts from the templates, the site file, ``submit``."""
