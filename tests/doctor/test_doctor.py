"""The doctor's judgement on made-up machines, and on folders, caches and Slurms that are broken for real."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import resource
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from nqs_hpc.doctor import checks, devices, site
from nqs_hpc.doctor import command as doctor_module
from nqs_hpc.doctor.checks import Line, Outcome
from nqs_hpc.doctor.devices import Device
from nqs_hpc.job.mounts import file_system
from nqs_hpc.parallel import comm as comm_module
from nqs_hpc.parallel.errors import error_text
from nqs_hpc.parallel.launch import Placement
from nqs_hpc.parallel.world import World, alone

ALONE = alone()


def outcomes(*values: object, hosts: str = "n1 n1 n2 n2 n3") -> list[Outcome]:
    """Values of ranks in order; an exception stands for a rank whose part raised it."""
    return [
        Outcome(rank, host, None, error_text(value)) if isinstance(value, Exception) else Outcome(rank, host, value)
        for rank, (host, value) in enumerate(zip(hosts.split(), values, strict=False))
    ]


def pair(other: Outcome) -> World:
    """This process as rank 0 of two, where rank 1 always answers ``other``."""
    return ALONE._replace(size=2, local_size=2, allgather=lambda own: [own, other])


# --- many ranks, one line ---


def test_ranks_that_agree_are_told_once_and_others_named():
    ok, slow = Line("ok", "2 cores"), Line("warning", "1 core", "more")
    assert checks.merged(outcomes(ok), "?") == ok
    assert checks.merged(outcomes(ok, ok, ok), "?") == Line("ok", "3 ranks: 2 cores")
    assert checks.merged(outcomes(slow, ok, ok), "?") == Line(
        "warning", "2 ranks: 2 cores; rank 0 on n1: 1 core", "more"
    )
    broken = checks.merged(outcomes(ok, ok, slow, OSError("no\nway")), "mend")
    assert broken.status == "fault" and broken.advice == "more; mend"
    assert broken.found == "2 ranks: 2 cores; rank 2 on n2: 1 core; rank 3 on n2: OSError: no way"
    assert checks.merged(outcomes(ok, None, slow), "?", "host").found == "rank 0 on n1: 2 cores; rank 2 on n2: 1 core"
    assert checks.merged(outcomes(ok, None), "?", "host") == ok
    assert checks.who(outcomes(*range(5))).endswith("rank 3 on n2 and 1 more")


def test_failures_name_the_rank_even_if_it_is_one():
    assert checks.failures(outcomes(1, 2), "mend") is None
    assert checks.failures(outcomes(1, ValueError("x")), "mend") == Line("fault", "rank 1 on n1: ValueError: x", "mend")


def test_what_a_rank_raises_reaches_all_and_nothing_is_raised():
    def fail() -> None:
        raise PermissionError(13, "Permission denied", "/there")

    mine, theirs = checks.together(pair(Outcome(1, "n1", 5)), fail)
    assert (mine.value, mine.error) == (None, "PermissionError: [Errno 13] Permission denied: '/there'")
    assert theirs.value == 5


# --- the report ---


def told(here: World, capsys, *, as_json: bool, found: dict[str, Line | Exception]) -> tuple[int, str]:
    def check(line: Line | Exception) -> Line:
        if isinstance(line, Exception):
            raise line
        return line

    report = doctor_module.report(here, sys.stdout, speaks=True, as_json=as_json)
    for name, line in found.items():
        report.note(name, lambda line=line: check(line))
    return report.close(), capsys.readouterr().out


@pytest.mark.parametrize(
    ("found", "code", "status", "last"),
    [
        ({"a": Line("ok", "x")}, 0, "ok", "0 faults, 0 warnings"),
        ({"a": Line("ok", "x"), "b": Line("warning", "y", "do")}, 0, "warning", "0 faults, 1 warning"),
        ({"a": Line("fault", "y", "do"), "b": Line("warning", "z", "do")}, 1, "fault", "1 fault, 1 warning"),
        ({"a": ValueError("two\nlines"), "b": Line("ok", "x")}, 1, "fault", "1 fault, 0 warnings"),
    ],
)
def test_exit_code_status_and_lines(capsys, found, code, status, last):
    rc, text = told(ALONE, capsys, as_json=False, found=found)
    lines = text.splitlines()
    assert rc == code and lines[-1] == last and len(lines) == len(found) + 1
    for (name, line), printed in zip(found.items(), lines, strict=False):
        level = line.status if isinstance(line, Line) else "fault"
        assert printed.split()[:2] == [level, name]
        assert (". To do: " in printed) == (level != "ok")

    rc, text = told(ALONE, capsys, as_json=True, found=found)
    answer = json.loads(text)
    assert rc == code and answer["status"] == status and answer["ranks"] == 1
    assert [entry["check"] for entry in answer["checks"]] == list(found)
    assert all(set(entry) == {"check", "status", "found", "advice"} for entry in answer["checks"])


def test_a_check_that_raises_is_a_fault_in_one_line(capsys):
    _, text = told(ALONE, capsys, as_json=False, found={"a": ValueError("two\nlines"), "b": Line("ok", "x")})
    first, second, _ = text.splitlines()
    assert "ValueError: two lines. To do: " in first and second.startswith("ok       b")


def test_a_check_that_hangs_ends_with_a_report(capsys, monkeypatch):
    ended: list[int] = []
    free = threading.Event()
    monkeypatch.setattr(doctor_module, "LIMIT_SECONDS", 0.05)
    monkeypatch.setattr(os, "_exit", lambda code: (ended.append(code), free.set()))

    def hang() -> Line:
        assert free.wait(10)
        return Line("ok", "at last")

    report = doctor_module.report(ALONE, sys.stdout, speaks=True, as_json=False)
    report.note("folder", hang)
    lines = capsys.readouterr().out.splitlines()
    assert ended == [1] and lines[0].startswith("fault    folder") and lines[1] == "1 fault, 0 warnings"


# --- what is asked ---


def test_bad_input_names_what_is_valid(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    for words in (["--jsn"], ["a", "b"], [""], ["file"], ["file/below"]):
        code, line = doctor_module._asked(words)
        assert code == 2 and "valid: " in line and "\n" not in line and (words[0] or "''") in line
    assert doctor_module._asked(["--help"])[0] == 0

    assert doctor_module._asked([]) == tmp_path
    assert doctor_module._asked(["not/there", "--json"]) == tmp_path
    (tmp_path / "runs").mkdir()
    assert doctor_module._asked([]) == tmp_path / "runs"
    (tmp_path / "runs").rmdir()
    (tmp_path / "runs").symlink_to("nowhere")
    assert "a link to nothing" in doctor_module._asked([])[1]


# --- MPI and installation ---


def test_ranks_that_mpi_does_not_see():
    mpich = ALONE._replace(library="MPICH Version:      5.0.2")
    assert checks.mpi(mpich, 1) == Line("ok", "MPICH 5.0.2; 1 rank on 1 host")
    fault = checks.mpi(mpich, 4)
    assert fault.status == "fault" and "4 ranks started" in fault.found and "sees 1" in fault.found
    assert "--mpi=pmi2" in fault.advice and "mpiexec beside" in fault.advice
    openmpi = ALONE._replace(library="Open MPI v5.0.8, package: Open MPI x@y Distribution")
    fault = checks.mpi(openmpi, 4)
    assert "--mpi=pmix" in fault.advice and "package" not in fault.found
    unknown = checks.mpi(pair(Outcome(1, "n2", True))._replace(library="X"), 1)
    assert unknown.status == "fault" and "PMI_SIZE" in unknown.advice
    assert checks.mpi(mpich, 1, "ImportError: no libmpi").found == "ImportError: no libmpi"


def test_versions_that_differ_or_lack(monkeypatch):
    assert checks.installation(ALONE).status == "ok"
    monkeypatch.setattr(checks, "versions", lambda: {"python": "3", "optax": None})
    missing = checks.installation(ALONE)
    assert missing.status == "fault" and missing.found == "not installed: optax"
    monkeypatch.setattr(checks, "disagreement", lambda facts, here: "rank 1 on n2 has jax 1 instead of 2: all the same")
    assert checks.installation(ALONE) == Line("fault", "rank 1 on n2 has jax 1 instead of 2", "all the same")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise RuntimeError('MPI ABI incompatibility detected!\\n  - handles\\n\\nBuild-time MPI')", "ABI incompat"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "ended by SIGSEGV"),
        ("import os; os._exit(3)", "ended by exit code 3"),
    ],
)
def test_an_mpi4jax_that_does_not_load(tmp_path, monkeypatch, code, words):
    (tmp_path / "mpi4jax.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    fault = checks.bridge(ALONE)
    assert fault.status == "fault" and words in fault.found and "\n" not in fault.found
    assert "--no-cache-dir --no-build-isolation" in fault.advice and "MPI=" in fault.advice


def test_a_child_is_no_rank_and_its_comparison_of_mpis_is_on(tmp_path, monkeypatch):
    (tmp_path / "mpi4jax.py").write_text(
        "import os\nkept = [k for k in os.environ if k.startswith(('PMI', 'SLURM_STEP')) or k == 'SLURM_PROCID']\n"
        "assert not kept and not os.environ['MPI4JAX_SKIP_ABI_CHECK'] and os.environ['SLURM_JOB_ID']\n"
        "import warnings; warnings.warn('mpi4jax knows\\njax 1')\ndef has_cuda_support(): return True\n"
    )
    for name in ("PMI_SIZE", "PMIX_RANK", "SLURM_STEP_ID", "SLURM_PROCID", "SLURM_JOB_ID", "MPI4JAX_SKIP_ABI_CHECK"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    line = checks.bridge(ALONE)
    assert line.status == "warning" and "CPUs and CUDA" in line.found and "mpi4jax knows jax 1" in line.found


# --- where ranks compute ---


def placed(cpus: tuple[int, ...], threads: int, asked: str = "", gpu: str | None = None) -> tuple[Placement, str]:
    return Placement("ignored", cpus, threads, gpu), asked


def test_cores_and_threads():
    assert checks.threads(outcomes(placed((0, 1), 2))) == Line("ok", "2 cores, 2 threads")
    # ranks 0 and 1 share a host, ranks 0 and 2 the number of a core on two hosts
    assert checks.threads(outcomes(placed((0,), 1), placed((1,), 1), placed((0,), 1))).status == "ok"
    shared = checks.threads(outcomes(placed((0, 1), 2), placed((1, 2), 2), placed((0, 1), 2)))
    assert shared.status == "warning"
    assert shared.found == "2 ranks: 2 cores, 2 threads, shared with other ranks; rank 2 on n2: 2 cores, 2 threads"
    many = checks.threads(outcomes(placed((0,), 4)))
    assert many.status == "warning" and "PJRT_NPROC" in many.advice
    unequal = checks.threads(outcomes(placed((0,), 1, "4")))
    assert unequal.status == "warning" and "SLURM_CPUS_PER_TASK=4" in unequal.found
    assert checks.threads(outcomes(placed((0, 1), 2, "2"))).status == "ok"
    broken = checks.threads(outcomes(placed((0,), 1), OSError("no such core")))
    assert broken.status == "fault" and "rank 1 on n1: OSError: no such core" in broken.found


def gpu(identity: str, platform: str = "gpu", hidden: str = "") -> Device:
    return Device(platform, "A100" if platform == "gpu" else "cpu", 1, "0", identity, hidden)


def test_devices():
    cpu = Device("cpu", "cpu", 1, None, "", "")
    assert devices.devices(outcomes(cpu, cpu)) == Line("ok", "2 ranks: CPU")
    assert devices.devices(outcomes(gpu("a"), gpu("b"), gpu("a"))) == Line("ok", "3 ranks: 1 gpu (A100)")
    twice = devices.devices(outcomes(gpu("a"), gpu("a"), gpu("a")))
    assert twice.status == "warning" and twice.found.startswith("2 ranks: 1 gpu (A100), GPU 0 shared with other ranks")
    unused = devices.devices(outcomes(gpu("0", "cpu", "CUDA_VISIBLE_DEVICES=0")))
    assert unused.status == "warning" and "CUDA_VISIBLE_DEVICES=0" in unused.found and "jax[cuda13]" in unused.advice


def test_the_one_gpu_that_each_rank_sees_is_told_from_the_others():
    listing = "GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-aa-1)\nGPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-bb-2)\n"
    assert devices.gpu_identity("1", listing) == "GPU-bb-2"
    assert devices.gpu_identity("0", listing.replace("aa", "cc")) == "GPU-cc-1"
    assert devices.gpu_identity("GPU-bb-2", listing) == "GPU-bb-2"
    assert devices.gpu_identity("3", "") == "3" and devices.gpu_identity(None, listing) == ""


def test_this_rank_on_a_machine_that_speaks_of_gpus(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert "CUDA_VISIBLE_DEVICES=0" in devices.device("0").hidden


def test_cuda_aware_mpi():
    cpu = Device("cpu", "cpu", 1, None, "", "")
    line = devices.cuda_aware(ALONE, outcomes(cpu))
    assert line.status == "ok" and "does not apply" in line.found
    assert devices.judge_cuda_aware("equal gpu", "", in_use=True).status == "ok"
    for answer, trouble in (("not equal gpu", ""), ("", "ended by SIGSEGV")):
        line = devices.judge_cuda_aware(answer, trouble, in_use=False)
        assert line.status == "warning" and (trouble or "wrong sums") in line.found and line.advice
        assert devices.judge_cuda_aware(answer, trouble, in_use=True).status == "fault"


def test_a_cuda_aware_mpi_that_crashes_is_kept_away_from_the_ranks(monkeypatch):
    monkeypatch.setattr(devices, "child", lambda code, variables: ("", "ended by SIGSEGV"))
    monkeypatch.setenv("MPI4JAX_USE_CUDA_MPI", "0")
    on_gpu = [Outcome(0, checks.socket.gethostname(), gpu("a"))]
    assert devices.cuda_aware(ALONE, on_gpu).status == "warning"
    monkeypatch.setenv("MPI4JAX_USE_CUDA_MPI", "1")
    assert devices.cuda_aware(ALONE, on_gpu).status == "fault"

    # the order, and what a fault before the sum does to it
    found: dict[str, Line] = {}

    def note(name: str, check) -> Line:
        if name == "allreduce":
            found[name] = check()
        return found.setdefault(name, Line("fault" if name == "cuda_mpi" else "ok", ""))

    two = ALONE._replace(size=2)
    monkeypatch.setattr(devices, "allreduce", lambda here: pytest.fail("tried"))
    doctor_module.examine(two, Path("/proc"), 2, "", note)
    assert found["allreduce"].status == "warning" and "cuda_mpi at fault" in found["allreduce"].found


def test_the_cuda_aware_try_itself_runs(monkeypatch):
    """On the CPU, where MPI is always aware: what is tried on GPUs is no broken program."""
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    assert checks.child(devices.CUDA_AWARE, {"MPI4JAX_USE_CUDA_MPI": "1"}) == ("equal cpu", "")


# --- what ranks do together ---


def test_no_rank_enters_a_sum_that_another_cannot_enter(monkeypatch):
    serial = comm_module.comm(ALONE)
    monkeypatch.setattr(comm_module, "comm", lambda here: serial)
    asked: list[Outcome] = []
    other = Outcome(1, "n2", None, "RuntimeError: MPI ABI incompatibility")
    here = pair(other)._replace(allgather=lambda own: asked.append(own) or [own, other])
    line = devices.allreduce(here)
    assert line.status == "fault" and line.found == "rank 1 on n2: RuntimeError: MPI ABI incompatibility"
    assert len(asked) == 1 and not asked[0].error  # this rank was ready, and sent nothing

    wrong = devices.allreduce(pair(Outcome(1, "n2", (1e-6, 1e-3, 0))))  # the serial twin adds nothing
    assert wrong.status == "fault" and wrong.found.startswith("wrong sums on rank 0 on ")
    assert devices.allreduce(ALONE) == Line("ok", "one rank: nothing to send")


def test_clocks():
    three = outcomes(0, 0, 0)
    assert site.judge_clocks([0.0, 0.002, 0.9], three).status == "ok"
    line = site.judge_clocks([0.0, 0.002, 1.1], three)
    assert line.status == "warning" and "rank 2 on n2: 1.1 s" in line.found
    late = pair(Outcome(1, "n2", time.time() - 3600))
    assert site.clocks(late).status == "warning" and site.clocks(ALONE).status == "ok"


# --- Slurm ---

LISTS = {
    "22.05": "MPI plugin types are...\n\tpmix\n\tnone\n\tcray_shasta\n\tpmi2\nspecific pmix plugin versions available: "
    "pmix_v4,pmix_v5\n",
    "19.05": "srun: MPI types are...\nsrun: none\nsrun: openmpi\nsrun: pmi2\n",
}


def test_plugins_of_old_and_new_slurms():
    assert site.plugins_of(LISTS["22.05"]) == ["pmix", "none", "cray_shasta", "pmi2", "pmix_v4", "pmix_v5"]
    assert site.plugins_of(LISTS["19.05"]) == ["none", "openmpi", "pmi2"]
    assert site.plugins_of("") == []


def slurm(folder: Path, monkeypatch, **commands: str) -> None:
    """A PATH with these commands on it, and nothing of Slurm in the environment."""
    for name in [name for name in os.environ if name.startswith("SLURM")]:
        monkeypatch.delenv(name)
    for name, script in commands.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def queue(here: World) -> Line:
    return site.queue(here, site.begin(here))


def test_slurm_where_there_is_none(tmp_path, monkeypatch):
    slurm(tmp_path, monkeypatch)
    assert queue(ALONE) == Line("ok", "not here")


def test_slurm_and_a_job_in_it(tmp_path, monkeypatch):
    lists = tmp_path / "list"
    lists.write_text(LISTS["22.05"])
    answers = {
        "sbatch": "echo slurm 22.05.8",
        "srun": f"read -r x < {lists}; while read -r y; do echo $y; done < {lists}",
    }
    slurm(tmp_path, monkeypatch, **answers, squeue="echo 1-00:30:30")
    here = ALONE._replace(library="MPICH Version: 5.0.2")
    line = queue(here)
    assert line.status == "ok" and line.found.startswith("slurm 22.05.8; MPI plugins: pmix none")
    assert line.found.endswith("not in a job")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert queue(here).found.endswith("job 7, 1470 min left")
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(2**32 - 1))
    assert queue(here).found.endswith("job 7, no time limit")


def test_a_slurm_that_does_not_fit_or_does_not_answer(tmp_path, monkeypatch):
    # older ones answer on stderr
    old = {"sbatch": "echo slurm 19.05.1", "srun": "echo 'srun: MPI types are...' >&2; echo 'srun: pmi2' >&2"}
    slurm(tmp_path, monkeypatch, **old, squeue="echo 'slurm_load_jobs error: no controller' >&2; exit 1")
    assert queue(ALONE._replace(library="MPICH Version: 5.0.2")).status == "ok"
    line = queue(ALONE._replace(library="Open MPI v5.0.8"))
    assert line.status == "warning" and "srun has no pmix" in line.advice and "MPI plugins: pmi2" in line.found
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    line = queue(ALONE._replace(library="MPICH"))
    assert line.status == "warning" and "no controller" in line.found and "max_seconds" in line.advice
    slurm(tmp_path, monkeypatch, sbatch="echo 'sbatch: fatal: no\nconfiguration' >&2; exit 1")
    line = queue(ALONE)
    assert line.status == "warning" and "sbatch: fatal: no configuration" in line.found and "SLURM_CONF" in line.advice


def test_a_slurm_that_never_answers_is_given_up(tmp_path, monkeypatch):
    """Each command within the limit, also where a child of it holds its output open."""
    assert site.ASK_SECONDS <= 5
    monkeypatch.setattr(site, "ASK_SECONDS", 0.05)
    silent = f"{shutil.which('sleep')} 1000 & wait"
    slurm(tmp_path, monkeypatch, sbatch=silent, srun=silent, squeue=silent)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    line = queue(ALONE)
    assert line.status == "warning" and "sbatch does not answer within 0.05 s" in line.found
    assert "time left unknown: squeue does not answer within 0.05 s" in line.found
    monkeypatch.setattr(site, "ASK_SECONDS", 5)
    slurm(tmp_path, monkeypatch, sbatch="echo slurm 22.05.8", srun="exit 3")
    assert "srun failed with code 3" in queue(ALONE).found


def test_the_controller_of_slurm(tmp_path, monkeypatch):
    works = {"sbatch": "echo slurm 22.05.8", "srun": "echo srun: pmi2"}
    slurm(tmp_path, monkeypatch, **works, scontrol="echo 'Slurmctld(primary) at head is UP'")
    here = ALONE._replace(library="MPICH Version: 5.0.2")
    assert queue(here) == Line("ok", "slurm 22.05.8; MPI plugins: pmi2; the controller answers; not in a job")
    for script in ("echo 'Slurmctld(primary) at head is DOWN'", "echo 'is DOWN' >&2; exit 1"):
        slurm(tmp_path, monkeypatch, scontrol=script)
        line = queue(here)
        assert line.status == "warning" and "no controller: " in line.found and "is DOWN" in line.found
        assert line.advice.startswith("set SLURM_CONF")


def test_commands_of_slurm_wait_side_by_side(tmp_path, monkeypatch):
    """None of them ends before all have begun, so one after the other none would ever be reached."""
    names = ("sbatch", "srun", "scontrol", "squeue")
    all_there = " && ".join(f"[ -e {tmp_path / name}.there ]" for name in names)
    meet = f"echo > $0.there; until {all_there}; do {shutil.which('sleep')} 0.01; done; echo is UP"
    slurm(tmp_path, monkeypatch, **dict.fromkeys(names, meet))
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setattr(site, "ASK_SECONDS", 20)
    found = queue(ALONE).found
    assert "does not answer" not in found and "the controller answers" in found


def test_a_doctor_beside_a_slurm_that_hangs(tmp_path, monkeypatch):
    """Every command of Slurm sleeps for ever: the doctor says so of each, and leaves no process behind."""
    names = ("sbatch", "srun", "sinfo", "squeue", "scontrol")
    slurm(tmp_path, monkeypatch, **dict.fromkeys(names, f"echo $$ > $0.pid; exec {shutil.which('sleep')} 100000"))
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    done = subprocess.run(
        [sys.executable, "-m", "nqs_hpc", "doctor", "--json", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    checks_ = {check["check"]: check for check in json.loads(done.stdout)["checks"]}
    assert len(checks_) > 10 and checks_["slurm"]["status"] == "warning", done.stderr
    for name in ("sbatch", "scontrol", "squeue"):
        assert f"{name} does not answer within 5 s" in checks_["slurm"]["found"]
    for file in tmp_path.glob("*.pid"):
        with pytest.raises(ProcessLookupError):
            os.kill(int(file.read_text()), 0)


# --- files ---


def test_the_file_system_of_a_folder(monkeypatch):
    table = (
        "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
        "30 27 0:44 / /home rw shared:2 - nfs4 server:/home rw\n"
        "31 30 0:45 / /home/a\\040b rw - lustre mgs:/fs rw\n"
        "32 30 0:46 / /home/a\\040b rw - gpfs fs1 rw\n"
        "broken line\n"
    )
    monkeypatch.setattr(Path, "read_text", lambda path, **options: table)
    assert [file_system(Path(p)) for p in ("/x", "/home", "/home/u/runs", "/homes", "/home/a b/c")] == [
        *("ext4", "nfs4", "nfs4", "ext4", "gpfs")
    ]


def test_a_folder_that_works_is_left_as_it_was(tmp_path):
    line = site.folder_works(ALONE, tmp_path)
    assert (
        line.status == "ok" and file_system(tmp_path) in line.found and "8 MiB" in line.found and "MB/s" in line.found
    )
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_takes_no_files():
    line = site.folder_works(ALONE, Path("/proc"))
    assert line.status == "fault" and "/proc/.nqs_hpc-doctor-" in line.found and line.advice
    assert "Traceback" not in line.found and "\n" not in line.found


def test_a_quota_that_a_checkpoint_would_meet(tmp_path):
    """A limit on the size of files stands for it: the system refuses the write in the same way."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, hard))
    try:
        line = site.folder_works(ALONE, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert line.status == "fault" and "File too large" in line.found
    assert list(tmp_path.iterdir()) == []


def test_locks_that_do_not_exclude(tmp_path, monkeypatch):
    monkeypatch.setattr(fcntl, "flock", lambda *arguments: None)
    line = site.folder_works(ALONE, tmp_path)
    assert line.status == "fault" and "locked twice" in line.found


def test_a_file_system_without_locks_is_named(tmp_path, monkeypatch):
    def without(*arguments):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", without)
    line = site.folder_works(ALONE, tmp_path)
    assert line.status == "fault" and str(tmp_path) in line.found
    assert "has no locks (flock): mount it with them, or choose a folder elsewhere" in line.found


def test_space():
    gib = 2**30
    assert site.judge_space(50 * gib, 1000 * gib).status == "ok"
    assert site.judge_space(4 * gib, 100 * gib).status == "warning"
    assert site.judge_space(15 * gib, 1000 * gib).status == "warning"  # under 2 %
    fault = site.judge_space(99 * 2**20, 100 * 2**20)
    assert fault.status == "fault" and fault.found == "99 MiB free" and fault.advice
    assert site.space(ALONE, Path("/proc")).status == "fault"


def test_a_file_that_another_rank_left_is_seen_with_its_lock(tmp_path):
    path = tmp_path / "token"
    assert site.look(path, "abc", wait=0.0) == (False, False)
    path.write_text("xyz")
    assert site.look(path, "abc", wait=0.0) == (False, False)  # a folder of the same name with another's file
    threading.Timer(0.2, path.write_text, ("abc",)).start()
    assert site.look(path, "abc", wait=5.0) == (True, False)
    with open(path) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert site.look(path, "abc") == (True, True)


def test_a_folder_that_not_all_ranks_share(tmp_path):
    assert site.judge_shared(outcomes(None, (True, True), (True, True))).status == "ok"
    fault = site.judge_shared(outcomes(None, (True, True), (False, False), OSError("stale handle")))
    assert fault.status == "fault" and "rank 2 on n2, rank 3 on n2 (OSError: stale handle)" in fault.found
    assert "rank 1" not in fault.found
    free = site.judge_shared(outcomes(None, (True, True), (True, False)))
    assert free.status == "warning" and "rank 2 on n2" in free.found and "flock" in free.advice

    assert site.folder_shared(pair(Outcome(1, "n2", (True, True))), tmp_path).status == "ok"
    assert site.folder_shared(pair(Outcome(1, "n2", (False, False))), tmp_path).status == "fault"
    assert list(tmp_path.iterdir()) == []
    broken = site.folder_shared(pair(Outcome(1, "n2", None)), Path("/proc"))
    assert broken.status == "fault" and "rank 0" in broken.found and "FileNotFoundError" in broken.found


def test_where_compiled_programs_are_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path))
    (tmp_path / "kind-1").mkdir()
    (tmp_path / "kind-1" / "jit_sample-cache").write_bytes(b"0" * 2**20)
    (tmp_path / "kind-1" / "jit_sample-atime").touch()
    assert site.programs(ALONE) == Line("ok", f"{tmp_path}: 1 program, 1 MiB")
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "not" / "there"))
    assert site.programs(ALONE).status == "ok" and not (tmp_path / "not").exists()
    for nowhere in ("/proc/cache", str(tmp_path / "kind-1" / "jit_sample-atime" / "below")):
        monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", nowhere)
        line = site.programs(ALONE)
        assert line.status == "warning" and line.advice and "\n" not in line.found
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert site.programs(ALONE).status == "warning"


def test_without_mpi_the_rest_is_looked_at(tmp_path):
    """The whole command on an installation whose MPI cannot be loaded, and that finds no Slurm."""
    (tmp_path / "mpi4py").mkdir()
    (tmp_path / "mpi4py" / "__init__.py").write_text("raise ImportError('cannot load MPI library')")
    (tmp_path / "data").mkdir()
    root = Path(__file__).resolve().parents[1]
    code = "from nqs_hpc.doctor.command import doctor; raise SystemExit(doctor(['--json', 'data']))"
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PMI", "OMPI", "SLURM"))}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": f"{tmp_path}:{root}", "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    found = {entry["check"]: entry for entry in json.loads(done.stdout)["checks"]}
    assert found["mpi"]["found"] == "ImportError: cannot load MPI library"
    assert found["mpi4jax"]["status"] == "fault" and found["folder"]["status"] == "ok"
    assert found["slurm"]["found"] == "not here" and "clocks" not in found
