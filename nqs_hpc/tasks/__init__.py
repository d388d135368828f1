"""Tasks: what a run does, one file a task; and what tasks share: the evaluation of samples, the guard of rejected
steps, the running mean, the final evaluation. They know neither files nor the configuration.
"""
