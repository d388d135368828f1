"""The command line: what is asked for, one answer, and the one exit code of all ranks."""
