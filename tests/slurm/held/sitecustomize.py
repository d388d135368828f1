"""Jobs of these tests wait where a test wants them to, however fast the machine is.

Python runs this at the start of every process that has its folder on PYTHONPATH. A run whose folder is NAME waits after
the first step at or beyond the one that a file NAME.hold beside it (or above) says, until the file is gone or names a
later step, or until the run is told to stop by a signal. Signals that end it, and the death of other ranks, are not held up.
"""

import importlib.abc
import importlib.util
import sys
import time
from pathlib import Path

LOG = "nqs_hpc.job.log"


def waiting(log):
    """The `log` of that module, which comes back from a step when nothing holds its run."""

    def held_log(path):
        from nqs_hpc.job import lifecycle

        inner, folder = log(path), Path(path).resolve().parent
        files = [parent / f"{folder.name}.hold" for parent in list(folder.parents)[:3]]

        def append(line):
            inner.append(line)
            while any(wanted(file) <= line["step"] for file in files) and not lifecycle.stop_requested():
                time.sleep(0.02)

        return inner._replace(append=append)

    return held_log


def wanted(file):
    try:
        return int(file.read_text())
    except (OSError, ValueError):  # not there, or being written
        return float("inf")


class Hook(importlib.abc.MetaPathFinder):
    """Changes the module as it is imported."""

    def find_spec(self, name, path, target=None):
        if name != LOG:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        run = spec.loader.exec_module

        def exec_module(module):
            run(module)
            module.log = waiting(module.log)

        spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, Hook())
