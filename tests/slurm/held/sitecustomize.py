"""Jobs of these tests wait where a test wants them to, however fast the machine is.

Python runs this at the start of every process that has its folder on PYTHONPATH. A run whose folder is NAME waits after
the first step at or beyond the one that a file NAME.hold beside it (or above) says, until the file is gone or names a
later step, or until the run is told to stop by a signal.
"""

import importlib.abc
import importlib.util
import sys
import time
from pathlib import Path

signals = []  # of this process, once it listens


def listening(listen):
    """`lifecycle.listen`, whose signals are remembered."""

    def heard(abort):
        signals.append(listen(abort))
        return signals[-1]

    return heard


def holding(log):
    """`log.log`, whose `append` comes back when nothing holds its run."""

    def held_log(path):
        inner = log(path)

        def append(line):
            inner.append(line)
            wait(Path(path).parent, line["step"])

        return inner._replace(append=append)

    return held_log


def waiting(loop):
    """`loop.loop`, whose other ranks wait as rank 0 does: in a collective they would keep a core busy."""

    def waiting_loop(config, folder, world, parts, *others):
        def turn(state):
            state, record = parts.task.turn(state)
            if world.rank > 0:
                wait(folder, int(state.step))
            return state, record

        return loop(config, folder, world, parts._replace(task=parts.task._replace(turn=turn)), *others)

    return waiting_loop


def wait(folder, step):
    """Until nothing holds the run at ``step``."""
    folder = Path(folder).resolve()
    files = [parent / f"{folder.name}.hold" for parent in list(folder.parents)[:3]]
    while any(wanted(file) <= step for file in files) and not any(one.flags() for one in signals):
        time.sleep(0.02)


def wanted(file):
    """The step that a file says, infinity where it says none."""
    try:
        return int(file.read_text())
    except (OSError, ValueError):  # not there, or being written
        return float("inf")


CHANGED = {
    "nqs_hpc.job.lifecycle": ("listen", listening),
    "nqs_hpc.job.log": ("log", holding),
    "nqs_hpc.run.loop": ("loop", waiting),
}


class Hook(importlib.abc.MetaPathFinder):
    """Changes those modules as they are imported."""

    def find_spec(self, name, path, target=None):
        if name not in CHANGED:
            return None
        sys.meta_path.remove(self)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            sys.meta_path.insert(0, self)
        run, (function, change) = spec.loader.exec_module, CHANGED[name]

        def exec_module(module):
            run(module)
            setattr(module, function, change(getattr(module, function)))

        spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, Hook())
