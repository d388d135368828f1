"""The lock of a run folder: one holder, named to others, released by its death."""

import subprocess
import sys

from nqs_hpc.job import lock as module

HOLD = """
import sys; from pathlib import Path; from nqs_hpc.job.lock import lock
print(lock(Path(sys.argv[1])), flush=True); sys.stdin.read()
"""


def test_second_holder_is_refused_until_the_first_is_dead(tmp_path):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], **pipes)
    assert holder.stdout.readline() == "None\n"
    assert f"process {holder.pid} on" in module.lock(tmp_path)
    holder.kill()
    holder.communicate()
    assert module.lock(tmp_path) is None
