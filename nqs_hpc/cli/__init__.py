"""The command line: reads the request, gives one answer, and one exit code on all ranks."""
