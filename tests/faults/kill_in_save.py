"""``python kill_in_save.py MOMENT WORDS``: nqs_hpc with WORDS, ended by SIGKILL in its first save, right before the
MOMENT-th call that makes of the file system. With MOMENT = count it prints their names instead."""

import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
moment, words = sys.argv[1], sys.argv[2:]
CALLS = {"open", "write", "flush", "fsync", "close", "replace", "unlink", "mkdir", "scandir", "read"}

from nqs_hpc.parallel import compile_cache  # noqa: E402

use = compile_cache.use


def then_arm(*arguments):  # the last thing before jax may be loaded, which checkpoints need
    share = use(*arguments)
    from nqs_hpc.job import checkpoint

    save, seen = checkpoint.save, []

    def watched(frame, event, argument):
        if event != "c_call" or argument.__name__ not in CALLS or isinstance(argument.__self__, str | bytes):
            return  # text is replaced too
        seen.append(argument.__name__)
        if len(seen) == int(moment if moment != "count" else 0):
            os.kill(os.getpid(), signal.SIGKILL)

    def watched_save(*arguments, **options):
        if int(os.environ.get("PMI_RANK") or os.environ.get("OMPI_COMM_WORLD_RANK") or 0) > 0 or seen:
            return save(*arguments, **options)
        sys.setprofile(watched)
        try:
            return save(*arguments, **options)
        finally:
            sys.setprofile(None)
            if moment == "count":
                print("calls:", *seen, flush=True)

    checkpoint.save = watched_save
    return share


compile_cache.use = then_arm

from nqs_hpc.cli.command import main  # noqa: E402

sys.argv[:] = [sys.argv[0], *words]
raise SystemExit(main())
