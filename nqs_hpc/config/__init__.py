"""From the command line and conf/ to one checked configuration, and whether it may start in a folder."""
