"""A throw-away Slurm cluster of two nodes on this machine: all of it in one folder, nothing in /etc, no service.

Both nodes are this host under two names, each with a slurmd of its own. A node dies as a machine does: its slurmd, the
daemons of its steps and all below them get SIGKILL at once.
"""

from __future__ import annotations

import os
import re
import secrets
import signal
import socket
import subprocess
import time
from pathlib import Path

NODES = ("n1", "n2")

# Faster than a real cluster's: a requeued job may start once the credentials of its former start have expired, and a
# node counts as dead after SlurmdTimeout. KillWait is Slurm's own: as long as elsewhere jobs have for their end.
CONF = """\
ClusterName=throwaway
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CryptoType=crypto/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=10
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=pmi2
JobAcctGatherType=jobacct_gather/none
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=1
ReturnToService=2
JobRequeue=1
SlurmdTimeout=10
KillWait=30
MinJobAge=600
InactiveLimit=0
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=8 RealMemory=2000
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=8 RealMemory=2000
PartitionName=all Nodes=n1,n2 Default=YES MaxTime=UNLIMITED State=UP
"""


class Cluster:
    """A running cluster; `stop` ends it."""

    def __init__(self, folder: Path) -> None:
        """Start it in ``folder``, which is empty, ours, and short of name (sockets); returns with both nodes idle."""
        self.folder = folder
        outer = ("SLURM_", "PMI", "OMPI_COMM", "MPI_LOCAL")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(outer)}
        self.environment = inherited | {"SLURM_CONF": str(folder / "slurm.conf")}
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}
        folder.chmod(0o755)
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        for name in ("state", *(f"spool-{node}" for node in NODES)):
            (self.folder / name).mkdir()
        key = self.folder / "munge.key"
        key.write_bytes(secrets.token_bytes(1024))
        key.chmod(0o600)
        conf = CONF.format(folder=self.folder, host=socket.gethostname().split(".")[0], ports=free_ports(3))
        (self.folder / "slurm.conf").write_text(conf)
        files = {"socket": "munge.socket", "key-file": "munge.key", "pid-file": "munge.pid", "log-file": "munge.log"}
        files["seed-file"] = "munge.seed"
        options = [f"--{name}={self.folder / file}" for name, file in files.items()]
        self._daemon("munged", "munged", "--foreground", "--force", *options)
        while not (self.folder / "munge.socket").exists():
            self._alive("munged")
            time.sleep(0.05)
        self._daemon("slurmctld", "slurmctld", "-D", "-f", str(self.folder / "slurm.conf"))
        for node in NODES:
            self.start_node(node)
        self.wait_for_nodes("IDLE", *NODES, seconds=120)

    def _daemon(self, name: str, *words: str) -> None:
        with open(self.folder / f"{name}.out", "ab") as out:
            # a session of its own, so that a Ctrl-C of the tests reaches it through `stop` alone
            self.daemons[name] = subprocess.Popen(
                words, env=self.environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
            )

    def _alive(self, name: str) -> None:
        if (code := self.daemons[name].poll()) is not None:
            raise RuntimeError(f"{name} ended with {code}:\n{self.logs()}")

    def logs(self) -> str:
        """The ends of all logs."""
        paths = sorted([*self.folder.glob("*.log"), *self.folder.glob("*.out")])
        return "\n".join(f"== {path.name}\n{path.read_text(errors='replace')[-2000:]}" for path in paths)

    # --- nodes

    def start_node(self, node: str) -> None:
        self._daemon(f"slurmd-{node}", "slurmd", "-D", "-f", str(self.folder / "slurm.conf"), "-N", node)

    def kill_slurmd(self, node: str) -> None:
        """End the node's daemon alone: its jobs go on."""
        self.daemons[f"slurmd-{node}"].kill()
        self.daemons[f"slurmd-{node}"].wait()

    def kill_node(self, node: str) -> None:
        """End the node's daemon, its steps and all that they started, as a power cut would."""
        self.kill_slurmd(node)
        killed = self.processes_of(node)
        for pid in killed:
            kill(pid)
        begun = time.monotonic()
        while alive := [pid for pid in killed if command_line(pid)]:  # a dead one that nobody waited for has none
            assert time.monotonic() - begun < 20, f"SIGKILL does not end {alive}"
            time.sleep(0.02)

    def processes_of(self, node: str) -> list[int]:
        """The daemons of the node's steps, and all processes below them."""
        # slurmstepd shows the name of its step alone; but it has the log or the spool folder of its node open
        marks = {str(self.folder / f"slurmd-{node}.log"), str(self.folder / f"spool-{node}")}
        parents = children()
        steps = [pid for pid in processes() if command_line(pid).startswith("slurmstepd") and marks & open_files(pid)]
        found, stack = [], list(steps)
        while stack:
            found.append(pid := stack.pop())
            stack += parents.get(pid, [])
        return found

    def node_states(self) -> dict[str, str]:
        lines = self.command("sinfo", "--noheader", "--Node", "--format=%N %T").splitlines()
        return {name: state.upper().rstrip("*") for name, state in (line.split() for line in lines)}

    def wait_for_nodes(self, state: str, *nodes: str, seconds: float) -> float:
        """Wait until all ``nodes`` are in ``state``; returns the seconds it took."""
        begun = time.monotonic()
        while time.monotonic() - begun < seconds:
            try:
                states = self.node_states()
            except AssertionError:  # the controller does not answer yet
                states = {}
            if all(states.get(node) == state for node in nodes):
                return time.monotonic() - begun
            self._alive("slurmctld")
            time.sleep(0.2)
        raise AssertionError(f"{nodes} are not {state} after {seconds} s but {states}:\n{self.logs()}")

    # --- commands and jobs

    def command(self, *words: str, cwd: Path | None = None, code: int = 0, timeout: float = 600) -> str:
        """What a command of Slurm's prints; fails unless its exit code is ``code``."""
        done = subprocess.run(
            words,
            cwd=cwd,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == code, f"{words}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def batch(self, script: str, cwd: Path, *options: str) -> str:
        """Submit a script; returns the job's number."""
        path = cwd / f"{secrets.token_hex(4)}.sbatch"
        path.write_text(script)
        return self.command("sbatch", "--parsable", *options, str(path), cwd=cwd).strip()

    def state(self, job: str) -> str:
        return self.command("squeue", "--noheader", "--states=all", f"--jobs={job}", "--format=%T").strip()

    def show(self, job: str) -> dict[str, str]:
        """What scontrol says of a job, by name."""
        text = self.command("scontrol", "--oneliner", "show", "job", job)
        return dict(re.findall(r"(\w+)=(\S*)", text))

    def wait(self, job: str, *states: str, seconds: float, output: Path | None = None) -> str:
        """Wait until a job is in one of ``states``; returns which."""
        begun = time.monotonic()
        while (now := self.state(job)) not in states:
            if time.monotonic() - begun > seconds:
                said = output.read_text(errors="replace")[-3000:] if output and output.exists() else ""
                raise AssertionError(f"job {job} is {now}, not {states}, after {seconds} s: {self.show(job)}\n{said}")
            time.sleep(0.2)
        return now

    def stop(self) -> None:
        """End all jobs and daemons; nothing is left."""
        for node in NODES:
            if f"slurmd-{node}" in self.daemons:
                self.kill_node(node)
        for name in ("slurmctld", "munged"):
            if name in self.daemons:
                self.daemons[name].kill()
                self.daemons[name].wait()


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that nobody has."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").glob("[0-9]*")]


def children() -> dict[int, list[int]]:
    """The children of each process."""
    found: dict[int, list[int]] = {}
    for pid in processes():
        try:
            parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue
        found.setdefault(parent, []).append(pid)
    return found


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
    except OSError:
        return ""


def open_files(pid: int) -> set[str]:
    found = set()
    try:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            found.add(os.readlink(descriptor))
        found.add(os.readlink(f"/proc/{pid}/cwd"))
    except OSError:
        pass
    return found
