"""A job in which one rank misbehaves: ``python sabotage.py WHAT RANK WORDS`` runs nqs_hpc with WORDS, and on RANK

late          starts two seconds after the others
raises        fails in the update of step 5, where the others wait for it in a collective
raises-all    fails on all ranks alike, whatever RANK is
compose       fails in Hydra, while the command line is read
killed        is ended by SIGKILL in the update of step 5
killed-within the same, in the middle of a system that the ranks solve together
old           has another version of h5py
float32       asks jax for other types
"""

import os
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
what, rank, words = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
own = int(os.environ.get("PMI_RANK") or os.environ.get("OMPI_COMM_WORLD_RANK") or os.environ.get("SLURM_PROCID") or 0)
mine = own == rank


def in_step_5(act):
    import nqs_hpc.run.run as run
    from nqs_hpc.run.resume import begin

    def sabotaged(*arguments):
        beginning = begin(*arguments)
        turn = beginning.parts.task.turn

        def step(state):
            if int(state.step) == 4:
                act()
            return turn(state)

        task = beginning.parts.task._replace(turn=step)
        return beginning._replace(parts=beginning.parts._replace(task=task))

    run.begin = sabotaged


def fail():
    raise RuntimeError("sabotage")


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def kill_within():
    """After the third panel of the factor, while the others wait for the next."""
    from nqs_hpc.parallel import foreign
    from nqs_hpc.update import over_ranks

    integers = foreign.integers

    def read(view):
        numbers = integers(view)
        panel = sys._getframe(1).f_code is over_ranks._update_in_place.__code__
        if panel and numbers[0] == 3:
            kill()
        return numbers

    foreign.integers = read


acts = {"killed-within": kill_within, "raises": fail, "raises-all": fail, "killed": kill}
if what in acts and (mine or what == "raises-all"):
    from nqs_hpc.parallel import compile_cache

    use = compile_cache.use

    def then_sabotage(*arguments):  # the last thing before jax may be loaded, which the loop needs
        share = use(*arguments)
        in_step_5(acts[what])
        return share

    compile_cache.use = then_sabotage
if mine and what == "late":
    time.sleep(2)
if mine and what == "compose":
    import hydra.core.override_parser.overrides_parser as parser

    parser.OverridesParser.parse_override = lambda *arguments: fail()
if mine and what == "old":
    import nqs_hpc.cli.command as cli

    known = cli.versions
    cli.versions = lambda: known() | {"h5py": "3.0.0"}
if mine and what == "float32":
    os.environ["JAX_DEFAULT_DTYPE_BITS"] = "32"

from nqs_hpc.cli.command import main  # noqa: E402

sys.argv[:] = [sys.argv[0], *words]
raise SystemExit(main())
