"""``nqs-hpc``, the console command: the same as ``python -m nqs_hpc``, also for modules of one's own.

Python puts the current folder first on its path for ``-m``, and for a script the folder of the script, where nobody
keeps networks (``ansatz.module``). Under -P and PYTHONSAFEPATH it does neither.
"""

from __future__ import annotations

import os
import sys

from nqs_hpc.cli.begin import begin


def console() -> int:
    """Run the command of this process; the exit code."""
    if not sys.flags.safe_path:
        here = os.path.dirname(os.path.realpath(sys.argv[0]))
        if sys.path and os.path.realpath(sys.path[0]) == here:
            del sys.path[0]
        sys.path.insert(0, os.getcwd())
    return begin()
