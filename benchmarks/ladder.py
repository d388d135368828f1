"""One step here and in NetKet, in turn on the same machine: figures, their ratios, JSON and Markdown.

    python benchmarks/ladder.py [--workloads W1,W5] [--rounds 5] [--ranks 1,2] [--peer-python PYTHON]
                                [--json FILE] [--markdown FILE]

Each contender is a process of its own (ladder_side.py, netket_side.py) that is built, warm, and then asked for one
whole step after the other, a round being one step of each: a drift of the machine meets all of them. Between its steps
a contender sleeps, and before each step all do, for threads of a library that spin a while after their work. Ours runs
once for each number of ranks, bound by `parallel.launch` as in any run (one rank: all cores as threads). NetKet runs in
one process with all threads, first in the fastest of its settings that a screening finds, then in the one that solves
in sample space with a stored Jacobian, as minSR here does; where that does not fit into --memory-gib, in the one that
does not store it. That an update of both is for the same number of parameters, samples, chains and proposals is
checked; both are in float64 and go on with the chains of the step before.

Figures are medians over rounds, ratios medians of the ratios round by round. The parts of our step are timed in the
step; the solve (shift, Cholesky factor, solution of a kernel of that size) is timed alone, and the Jacobian with the
kernel is the update without it. NetKet's sampling and local energies are timed again by themselves, and its update is
what is left of a whole `driver.run(1)`; it is split the same way where it solves in sample space. A first step is the
time from the start of the command to the end of the first whole step: ours with the warm-up of the chains that a run
makes, NetKet's without, for it makes none. It is cold (ours on an empty compile cache, NetKet's on none) and for us
also warm (a second start). Peak memory is VmHWM of a process that ran its setting alone, the largest over ranks.

Exit codes: 0, 1 where a contender failed, 2 for bad input and where NetKet cannot be imported.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
WARM_STEPS = 2  # some programs compile again on their second step
SETTLE_SECONDS = 0.2
PARTS = ("step_s", "sample_s", "local_energy_s", "update_s")


class Workload(NamedTuple):
    """What is computed, in our words and in netket_side's."""

    title: str
    ours: tuple[str, ...]
    peer: dict[str, Any]


def workload(title: str, ours: str, **peer: Any) -> Workload:
    """With what all workloads share."""
    n_samples = peer.setdefault("n_samples", 1024)
    peer = {"n_chains": 256, "diag_shift": 0.01, "learning_rate": 0.02, "complex": False} | peer
    common = f"optimizer.diag_shift={peer['diag_shift']} optimizer.learning_rate={peer['learning_rate']}"
    if "sampler=autoregressive" in ours:  # few parameters and no chains
        how = f"sampler.n_samples={n_samples} optimizer=sr {common}"
        return Workload(f"{title}, {n_samples} samples", (*ours.split(), *how.split()), peer)
    how = f"sampler.n_chains={peer['n_chains']} sampler.n_samples={n_samples} optimizer=minsr {common}"
    return Workload(f"{title}, {peer['n_chains']} chains, {n_samples} samples", (*ours.split(), *how.split()), peer)


WORKLOADS = {
    "W1": workload(
        "RBM alpha=1, TFIM 10x10, h=3",
        "lattice=square lattice.length=10 hamiltonian=ising hamiltonian.h=3.0 ansatz=rbm ansatz.alpha=1",
        extent=[10, 10],
        hamiltonian="ising",
        h=3.0,
        ansatz="rbm",
        alpha=1,
    ),
    "W4": workload(
        "ViT (patch 2x2, 32 wide, 4 heads, 2 layers), J1-J2 6x6, J2=0.5, Sz=0",
        "lattice=square lattice.length=6 hamiltonian=heisenberg hamiltonian.J=[1,0.5] hamiltonian.marshall=true "
        "ansatz=vit ansatz.patch=2 ansatz.width=32 ansatz.heads=4 ansatz.layers=2",
        extent=[6, 6],
        hamiltonian="heisenberg",
        J=[1, 0.5],
        ansatz="vit",
        patch=2,
        width=32,
        heads=4,
        layers=2,
    ),
    "W2": workload(
        "GCNN of 4 layers with 8 features over translations, J1-J2 6x6 at J2/J1=0.5, Sz=0",
        "lattice=square lattice.length=6 hamiltonian=heisenberg hamiltonian.J=[1,0.5] ansatz=gcnn ansatz.layers=4 "
        "ansatz.features=8",
        extent=[6, 6],
        hamiltonian="heisenberg",
        J=[1.0, 0.5],
        ansatz="gcnn",
        layers=4,
        features=8,
    ),
    "W3": workload(
        "autoregressive conv net (3 layers, 8 features, kernel 4), TFIM ring of 64, h=1",
        "lattice=chain lattice.length=64 hamiltonian=ising hamiltonian.h=1.0 ansatz=masked_conv ansatz.layers=3 "
        "ansatz.features=8 ansatz.kernel=4 sampler=autoregressive",
        extent=[64],
        hamiltonian="ising",
        h=1.0,
        ansatz="masked_conv",
        layers=3,
        features=8,
        kernel=4,
    ),
    "W5": workload(
        "RBM alpha=2, TFIM 20x20, h=3",
        "lattice=square lattice.length=20 hamiltonian=ising hamiltonian.h=3.0 ansatz=rbm ansatz.alpha=2",
        extent=[20, 20],
        hamiltonian="ising",
        h=3.0,
        ansatz="rbm",
        alpha=2,
        n_samples=2048,
    ),
    "W6": workload(
        "complex RBM alpha=4, Heisenberg 6x6, Sz=0",
        "lattice=square lattice.length=6 hamiltonian=heisenberg ansatz=rbm ansatz.alpha=4 ansatz.dtype=complex",
        extent=[6, 6],
        hamiltonian="heisenberg",
        ansatz="rbm",
        alpha=4,
        complex=True,
    ),
    "W7": workload(
        "MLP with two hidden layers of 4N units, TFIM ring of 64, h=1",
        "lattice=chain lattice.length=64 hamiltonian=ising hamiltonian.h=1.0 ansatz=mlp ansatz.alphas=[4,4]",
        extent=[64],
        hamiltonian="ising",
        h=1.0,
        ansatz="mlp",
        alphas=[4, 4],
    ),
    "W8": workload(
        "resnet of 8 layers with 42 features, kernels 3x3, J1-J2 10x10 at J2/J1=0.5, Sz=0",
        "lattice=square lattice.length=10 hamiltonian=heisenberg hamiltonian.J=[1,0.5] ansatz=resnet ansatz.layers=8 "
        "ansatz.features=42 ansatz.kernel=3 ansatz.dtype=complex",
        extent=[10, 10],
        hamiltonian="heisenberg",
        J=[1.0, 0.5],
        ansatz="resnet",
        layers=8,
        features=42,
        kernel=3,
    ),
    # an eighth of W8: a step of NetKet takes minutes
    "W8s": workload(
        "resnet of 8 layers with 42 features, kernels 3x3, J1-J2 10x10 at J2/J1=0.5, Sz=0",
        "lattice=square lattice.length=10 hamiltonian=heisenberg hamiltonian.J=[1,0.5] ansatz=resnet ansatz.layers=8 "
        "ansatz.features=42 ansatz.kernel=3 ansatz.dtype=complex",
        extent=[10, 10],
        hamiltonian="heisenberg",
        J=[1.0, 0.5],
        ansatz="resnet",
        layers=8,
        features=42,
        kernel=3,
        n_chains=64,
        n_samples=128,
    ),
}


class Failure(Exception):
    """A contender did not answer; its message is one for the user."""


class Server:
    """A contender's process, in a process group of its own; reads words, answers in lines of JSON."""

    def __init__(self, name: str, command: list[str], folder: Path, **environment: str) -> None:
        """``environment`` is added to ours; a number of threads that stands there is taken out."""
        inherited = {key: value for key, value in os.environ.items() if key not in ("PJRT_NPROC", "NPROC")}
        self.name = name
        self.errors = Path(tempfile.mkstemp(dir=folder, suffix=".stderr")[1])
        self.started = time.monotonic()
        with self.errors.open("a") as errors:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=inherited | environment,
                start_new_session=True,
            )

    def answers(self) -> Iterator[dict[str, Any]]:
        """All that is still to come. What is none, as mpiexec's words on a rank that died, joins standard error."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{"):
                yield json.loads(line)
            else:
                with self.errors.open("a") as errors:
                    errors.write(line)

    def answer(self) -> dict[str, Any]:
        """The next answer; raises Failure, with the end of its standard error, where there is none."""
        for line in self.answers():
            return line
        code = self.process.wait()
        tail = "\n".join(self.errors.read_text().splitlines()[-15:])
        raise Failure(f"{self.name} ended with code {code}; the end of its standard error:\n{tail}")

    def ask(self, word: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # then there is no answer, which says more
            print(word, file=self.process.stdin, flush=True)
        return self.answer()

    def stop(self) -> None:
        """End it and all it started. The end of its input lets it leave by itself, unless it is in the middle of a
        step."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        for signum in (None, signal.SIGTERM, signal.SIGKILL):
            if signum is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.process.pid, signum)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=5)
                return


class Contender(NamedTuple):
    """A running server and what it said of itself."""

    server: Server
    ready: dict[str, Any]
    first_step_s: float


def started(name: str, command: list[str], folder: Path, stack: contextlib.ExitStack, **environment: str) -> Contender:
    """A contender after its first step; ``stack`` ends it."""
    say(f"{name}: first step")
    server = Server(name, command, folder, **environment)
    stack.callback(server.stop)
    ready = server.answer()
    return Contender(server, ready, time.monotonic() - server.started)


def our_command(work: Workload, ranks: int, cache: str = "null") -> list[str]:
    side = [str(HERE / "ladder_side.py"), *work.ours, f"compile_cache={cache}"]
    if ranks == 1:
        return [sys.executable, *side]
    beside = Path(sys.executable).parent / "mpiexec"
    mpiexec = str(beside) if beside.exists() else "mpiexec"
    # `-m mpi4py` ends all ranks where one fails
    return [mpiexec, "-n", str(ranks), sys.executable, "-m", "mpi4py", *side]


def peer_command(python: str, *words: Any) -> list[str]:
    return [python, str(HERE / "netket_side.py"), *(w if isinstance(w, str) else json.dumps(w) for w in words)]


def screening(work: Workload, options: argparse.Namespace, folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """NetKet's settings to measure, "best" and "ntk" (None where none fits), and every way it tried or left out.

    Where NetKet dies of one way, which it does (a segmentation fault), the settings are those of the ways before.
    """
    if options.settings:
        return options.settings, []
    with contextlib.ExitStack() as stack:
        command = peer_command(options.peer_python, "screen", work.peer, options.memory_gib)
        server = Server("NetKet's screening", command, folder)
        stack.callback(server.stop)
        ways: list[dict[str, Any]] = []
        try:
            while "done" not in (way := server.answer()):
                say(f"NetKet: {json.dumps(way)}")
                ways.append(way)
        except Failure as failure:
            if not any("setting" in way for way in ways):
                raise
            say(str(failure))
            ways.append({"left_out": "all further ways", "reason": "NetKet's process died"})
    ranking = sorted((way for way in ways if "setting" in way), key=lambda way: way["step_s"])
    if not ranking:
        raise Failure(f"NetKet: none of its ways fits into {options.memory_gib:g} GiB")
    # The twin of our own algorithm keeps the Jacobian; without the memory for that, it is the one that does not.
    in_sample_space = [way["setting"] for way in ranking if way["space"] == "samples"]
    in_sample_space.sort(key=lambda setting: setting["solver"] != "VMC_SR, NTK")
    return {"best": ranking[0]["setting"], "ntk": in_sample_space[0] if in_sample_space else None}, ways


def measured(work: Workload, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All figures of one workload."""
    settings, ways = screening(work, options, folder)
    wanted = {"NetKet, best": settings["best"], "NetKet, NTK": settings["ntk"]}
    if settings["ntk"] in (None, settings["best"]):
        del wanted["NetKet, NTK"]
    with contextlib.ExitStack() as stack:
        caches = {ranks: tempfile.mkdtemp(dir=folder, suffix=".cache") for ranks in options.ranks}
        contenders = [
            started(f"nqs_hpc, {ranks} rank{'s' * (ranks > 1)}", our_command(work, ranks, caches[ranks]), folder, stack)
            for ranks in options.ranks
        ]
        off = {"JAX_ENABLE_COMPILATION_CACHE": "false"}
        contenders += [
            started(name, peer_command(options.peer_python, "serve", work.peer, setting), folder, stack, **off)
            for name, setting in wanted.items()
        ]
        for other in contenders[1:]:
            if other.ready["work"] != contenders[0].ready["work"]:
                raise Failure(
                    f"{other.server.name} computes {other.ready['work']}, {contenders[0].server.name} "
                    f"{contenders[0].ready['work']}: not the same work"
                )
        rounds: list[list[dict[str, float]]] = []
        for number in range(-options.warm, options.rounds):
            steps = []
            for one in contenders:
                time.sleep(SETTLE_SECONDS)
                steps.append(one.server.ask("step"))
            say("; ".join(f"{c.server.name} {s['step_s']:.3f} s" for c, s in zip(contenders, steps, strict=True)))
            if number >= 0:
                rounds.append(steps)
        ends = [one.server.ask("end") for one in contenders]
    rows = []
    for one, end, steps in zip(contenders, ends, zip(*rounds, strict=True), strict=True):
        medians = {part: statistics.median(step[part] for step in steps) for part in PARTS}
        if "solve_s" in end:
            medians["jacobian_kernel_s"] = medians["update_s"] - end["solve_s"]
        rows.append(
            {"name": one.server.name, "setting": one.ready["setting"], "threads": one.ready["threads"]}
            | {"first_step_cold_s": one.first_step_s}
            | medians
            | end
            | {"rounds": list(steps), "versions": one.ready["versions"]}
        )
    for row, ranks in zip(rows, options.ranks, strict=False):  # ours come first
        with contextlib.ExitStack() as stack:
            command = our_command(work, ranks, caches[ranks])
            row["first_step_warm_s"] = started(f"{row['name']}, again", command, folder, stack).first_step_s
    ours, peers = rows[: len(options.ranks)], rows[len(options.ranks) :]
    return {
        "title": work.title,
        "work": contenders[0].ready["work"],
        "contenders": rows,
        "ratios": [{"ours": own["name"]} | ratios(own, peers) for own in ours],
        "settings": settings,
        "screening": ways,
    }


def ratios(own: dict[str, Any], peers: list[dict[str, Any]]) -> dict[str, float]:
    """NetKet's seconds over ours, medians of the ratios round by round; the last peer is the one in sample space."""

    def over(peer: dict[str, Any], *parts: str) -> float:
        pairs = zip(peer["rounds"], own["rounds"], strict=True)
        return statistics.median(sum(a[part] for part in parts) / sum(b[part] for part in parts) for a, b in pairs)

    result = {
        "step_best": over(peers[0], "step_s"),
        "sample_and_local_energy_best": over(peers[0], "sample_s", "local_energy_s"),
    }
    if any("NTK" in peer["setting"] for peer in peers):
        result["step_ntk"] = over(peers[-1], "step_s")
    return result


def markdown(report: dict[str, Any]) -> str:
    """The tables, ratios first."""
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    lines = [
        f"{report['cpu']}, {report['cores']} cores, float64; {versions}; {report['date']}.",
        "",
        f"`{report['command']}`",
        "",
        "NetKet's seconds over ours, medians of the ratios round by round:",
        "",
        "| workload | ours | step, NetKet's best | step, NetKet's NTK | sampling + local energies |",
        "|---|---|---|---|---|",
    ]
    for name, result in report["workloads"].items():
        for row in result["ratios"]:
            figures = [row.get(key) for key in ("step_best", "step_ntk", "sample_and_local_energy_best")]
            shown = " | ".join("does not fit" if figure is None else f"{figure:.1f}" for figure in figures)
            lines.append(f"| {name} | {row['ours']} | {shown} |")
    for name, result in report["workloads"].items():
        parts = " | ".join(f"{word} s" for word in ("step", "sampling", "local energies", "update"))
        lines += [
            "",
            f"**{name}**: {result['title']}; {result['work']['parameters']} real parameters.",
            "",
            f"| | {parts} | of it Jacobian and kernel s | solve s | first step s | peak MB |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        for row in result["contenders"]:
            figures = [row.get(part) for part in (*PARTS, "jacobian_kernel_s", "solve_s")]
            shown = " | ".join("" if figure is None else f"{figure:.4g}" for figure in figures)
            first = f"{row['first_step_cold_s']:.1f}"
            if "first_step_warm_s" in row:
                first += f", warm {row['first_step_warm_s']:.1f}"
            label = f"{row['name']} x {row['threads']} thread{'s' * (row['threads'] > 1)}"
            lines.append(f"| {label} | {shown} | {first} | {row['peak_mb']:.0f} |")
        lines.append("")
        lines += [f"{row['name']}: {row['setting']}." for row in result["contenders"] if "NetKet" in row["name"]]
        if out := [f"{way['left_out']} ({way['reason']})" for way in result["screening"] if "left_out" in way]:
            lines.append(f"Left out of the screening: {'; '.join(out)}.")
    return "\n".join(lines) + "\n"


def cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def peer_versions(python: str) -> dict[str, str]:
    """Raises ImportError, one line, where NetKet cannot be imported."""
    try:
        found = subprocess.run(peer_command(python, "versions"), capture_output=True, text=True)
    except OSError as error:
        raise ImportError(f"--peer-python={python}: {error}") from error
    if found.returncode:
        reason = (found.stderr.strip().splitlines() or [f"exit code {found.returncode}"])[-1]
        raise ImportError(
            f"{python} cannot import NetKet ({reason}): install nqs_hpc[peers], or name the python of an environment "
            "that has it with --peer-python"
        )
    return json.loads(found.stdout)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workloads", type=lambda text: text.split(","), default=list(WORKLOADS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--warm", type=int, default=WARM_STEPS, help="steps after the first that are thrown away")
    parser.add_argument("--ranks", type=lambda text: [int(word) for word in text.split(",")], default=[1, 2])
    parser.add_argument("--peer-python", default=sys.executable)
    parser.add_argument("--memory-gib", type=float, default=12.0, help="what a setting of NetKet may need")
    parser.add_argument(
        "--settings", type=json.loads, help='{"best": {...}, "ntk": null}: those of an earlier screening, in its place'
    )
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args()
    if unknown := set(options.workloads) - set(WORKLOADS):
        parser.error(f"unknown {', '.join(sorted(unknown))}; valid: {', '.join(WORKLOADS)}")
    if min(options.ranks) < 1 or options.rounds < 1 or options.warm < 0:
        parser.error("--ranks and --rounds are at least 1, --warm at least 0")
    if options.settings and len(options.workloads) > 1:
        parser.error("--settings are those of one workload")
    try:
        versions = peer_versions(options.peer_python)
    except ImportError as error:
        say(str(error))
        return 2

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # as an exception: servers are ended
    report: dict[str, Any] = {
        "date": datetime.date.today().isoformat(),
        "command": f"python benchmarks/ladder.py --workloads {','.join(options.workloads)} --rounds {options.rounds} "
        f"--ranks {','.join(map(str, options.ranks))} --memory-gib {options.memory_gib:g}"
        + (f" --warm {options.warm}" if options.warm != WARM_STEPS else "")
        + (f" --settings '{json.dumps(options.settings)}'" if options.settings else ""),
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "workloads": {},
    }
    try:
        with tempfile.TemporaryDirectory(prefix="ladder-") as folder:
            for name in options.workloads:
                say(f"{name}: {WORKLOADS[name].title}")
                report["workloads"][name] = result = measured(WORKLOADS[name], options, Path(folder))
                report["versions"] = result["contenders"][0]["versions"] | {"netket": versions["netket"]}
                if options.json:  # after each workload: what is measured is kept
                    options.json.write_text(json.dumps(report, indent=1) + "\n")
                if options.markdown:
                    options.markdown.write_text(markdown(report))
    except Failure as failure:
        say(str(failure))
        return 1
    print(markdown(report), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
