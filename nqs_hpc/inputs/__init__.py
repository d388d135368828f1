"""Checks of user input: single values, and files that are read safely. All readers use it."""
