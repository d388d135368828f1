"""What users give, checked: single values, and files read with care. Below every room that reads."""
