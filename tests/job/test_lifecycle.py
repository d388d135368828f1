import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from nqs_hpc.job import lifecycle as module
from nqs_hpc.job.lifecycle import Verdict, done, lifecycle, listen, stop_requested, write_done

GO_ON = Verdict(stop=False, save=False, reason="")


@pytest.fixture
def watch(tmp_path, serial):
    signals = listen(lambda code: None)
    yield lambda world=serial, **options: lifecycle(tmp_path, world, signals, **{"max_seconds": None} | options)
    signals.close()


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1", "SIGINT"])
def test_signals_stop_after_the_step(watch, name):
    life = watch()
    assert life.check(0.1, 0.0, False) == GO_ON
    os.kill(os.getpid(), getattr(signal, name))
    assert life.check(0.1, 0.0, False) == Verdict(True, True, f"signal {name}")
    assert life.check(0.1, 0.0, False).stop  # it stays asked


def test_second_interrupt_breaks_at_once(watch):
    life = watch()
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGTERM)  # any number of these: once is enough
    os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
    assert life.check(0.1, 0.0, False).reason == "signal SIGTERM and signal SIGINT"


def test_one_reduction_carries_the_flags_of_all_ranks(watch, serial):
    sent = []

    def any_flags(bits):
        sent.append(bits)
        return bits | 2  # another rank got SIGUSR1

    assert watch(serial._replace(any_flags=any_flags)).check(0.1, 0.0, False) == Verdict(True, True, "signal SIGUSR1")
    assert sent == [0]


def test_stop_file_stays_and_save_file_goes_once_obeyed(watch, tmp_path):
    life = watch()
    assert not stop_requested(tmp_path)
    (tmp_path / "SAVE").touch()
    life.saved()
    assert (tmp_path / "SAVE").exists()  # nobody has looked at it yet
    assert life.check(0.1, 0.0, False) == Verdict(False, True, "SAVE file")
    life.saved()
    assert not (tmp_path / "SAVE").exists()
    assert life.check(0.1, 0.0, False) == GO_ON
    (tmp_path / "STOP").touch()
    assert life.check(0.1, 0.0, False) == Verdict(True, True, "STOP file")
    (tmp_path / "SAVE").touch()
    life.saved()  # SAVE came after the look: it is for the next start
    assert stop_requested(tmp_path) and (tmp_path / "SAVE").exists()


def test_a_checkpoint_is_due_when_rank_0_says_so(watch, serial):
    assert watch().check(0.1, 0.0, True) == Verdict(False, True, "due")
    assert watch(serial._replace(rank=1, size=2)).check(0.1, 0.0, True) == GO_ON


def test_a_checkpoint_that_is_due_as_well_is_no_reason_for_a_stop(watch, tmp_path):
    """Batch scripts requeue what stopped for time or for a signal, and read which it was at the reason's beginning."""
    life = watch(ends=time.time() + 5.0)
    (tmp_path / "SAVE").touch()
    assert life.check(0.1, 0.0, True) == Verdict(True, True, "time limit of Slurm")
    life.saved()
    assert not (tmp_path / "SAVE").exists()


def test_only_rank_0_looks_at_the_files(watch, tmp_path, serial):
    life = watch(serial._replace(rank=1, size=2))
    (tmp_path / "STOP").touch()
    (tmp_path / "SAVE").touch()
    assert life.check(0.1, 0.0, False) == GO_ON
    life = watch(serial._replace(rank=1, size=2, any_flags=lambda bits: bits | module.SAVE))
    assert life.check(0.1, 0.0, False).save
    life.saved()
    assert (tmp_path / "SAVE").exists()


def test_max_seconds_leaves_room_for_a_step_and_a_save(watch, monkeypatch):
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    life = watch(max_seconds=100.0, started=990.0)
    now = 1020.0
    assert life.check(30.0, 0.0, False) == GO_ON  # 30 s gone, the next step may take as long as the first: until 60 s
    now = 1055.0
    assert life.check(5.0, 3.0, False) == GO_ON
    now = 1075.0
    assert life.check(2.0, 1.0, False) == GO_ON  # 85 + 5 + 3 <= 100: the compiling step does not count any more
    now = 1082.5
    assert life.check(2.0, 1.0, False) == Verdict(True, True, "max_seconds")  # 92.5 + 5 + 3 > 100
    life = watch(max_seconds=50.0)
    now += 26.0
    assert life.check(25.0, 0.0, False).reason == "max_seconds"  # with one step known, it is all we have to go by


def test_slurms_limit_leaves_room_to_close_as_well(watch, monkeypatch, serial):
    now, wall = 1000.0, 5e8
    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(time, "time", lambda: wall)
    life = watch(ends=wall + 100.0)
    assert life.check() == GO_ON
    wall += 84.0
    assert life.check(3.0, 2.0) == GO_ON  # 84 + 3 + 2 + 10 <= 100
    wall += 1.5
    assert life.check(3.0, 1.0) == Verdict(True, True, "time limit of Slurm")
    assert watch(serial._replace(rank=1, size=2), ends=wall).check() == GO_ON  # rank 0 looks at the clock
    assert watch(ends=wall + 5.0).check().stop  # before the first step, of which nothing is known yet


def test_a_fault_of_rank_0_stops_all_and_forbids_the_checkpoint(watch, serial):
    assert watch().check(0.1, 0.0, False, True) == Verdict(True, False, "fault")
    other = watch(serial._replace(rank=1, size=2, any_flags=lambda bits: bits | module.TROUBLE | module.DUE))
    assert other.check(0.1) == Verdict(True, False, "fault")


def test_close_restores_the_handlers():
    mine = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        before = [signal.getsignal(number) for number in module.SIGNALS]
        threads = set(threading.enumerate())
        signals = listen(lambda code: None)
        assert all(signal.getsignal(n) != old for n, old in zip(module.SIGNALS, before, strict=True))
        (thread,) = set(threading.enumerate()) - threads
        signals.close()
        assert [signal.getsignal(number) for number in module.SIGNALS] == before
        assert signal.set_wakeup_fd(-1) == -1
        thread.join(timeout=120)
        assert not thread.is_alive()
    finally:
        signal.signal(signal.SIGUSR1, mine)


def test_whoever_leaves_is_not_called_back():
    signals = listen(lambda code: None)
    try:
        module.leave()
        os.kill(os.getpid(), signal.SIGTERM)  # Slurm's, as the first rank has left
        assert all(signal.getsignal(number) == signal.SIG_IGN for number in module.SIGNALS)
    finally:
        signals.close()


LOOP = """
import sys, time
from pathlib import Path
from nqs_hpc.job.lifecycle import lifecycle, listen
from nqs_hpc.parallel.world import World
ident = lambda obj: obj
world = World(0, 1, 0, 1, ident, lambda obj: [obj], lambda obj: [obj], ident, lambda: None, ident, "by hand")
life = lifecycle(Path(sys.argv[1]), world, listen(ident), max_seconds=None)
print("ready", flush=True)
while not (verdict := life.check(0.01, 0.0, False)).stop:
    time.sleep(0.01)
print(verdict.reason)
sys.exit(85)
"""

# The main thread is where a rank is that waits for another which is gone: in C code that lets no handler run.
STUCK = """
import ctypes, os, threading
from nqs_hpc.job.lifecycle import listen
listen(lambda code: print("abort", code, flush=True))
mutex = ctypes.create_string_buffer(128)
lock = ctypes.CDLL(None).pthread_mutex_lock
lock(mutex)
print("ready", flush=True)
lock(mutex)
"""


def test_second_interrupt_ends_a_rank_that_is_stuck(monkeypatch):
    with subprocess.Popen([sys.executable, "-c", STUCK], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
        assert process.poll() is None  # one is a request
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=120)[0] == "abort 1\n"
    assert process.returncode == 1


def test_a_real_process_stops_with_its_reason(tmp_path):
    with subprocess.Popen([sys.executable, "-c", LOOP, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.communicate()[0] == "signal SIGTERM\n"
    assert process.returncode == 85


def test_done(tmp_path):
    assert done(tmp_path) is None
    write_done(tmp_path, 300)
    assert done(tmp_path) == 300
    (tmp_path / "DONE").write_text("yes\n")
    with pytest.raises(ValueError, match="DONE holds 'yes'; expected the step reached"):
        done(tmp_path)


def test_a_stop_for_lack_of_time(watch, monkeypatch):
    """Slurm's warning comes as a signal, as a preemption does, which may come as soon as a job has begun."""
    now, wall = 1000.0, 5e8
    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(time, "time", lambda: wall)
    life = watch(ends=wall + 100.0)
    assert life.out_of_time("max_seconds") and life.out_of_time("time limit of Slurm, during the final evaluation")
    for warned in (False, True):
        now, wall = now + 40.0, wall + 40.0
        assert life.out_of_time("signal SIGUSR1") == life.out_of_time("signal SIGTERM") == warned
        assert not life.out_of_time("STOP file") and not life.out_of_time("signal SIGINT")
    assert not watch().out_of_time("signal SIGUSR1")  # no limit
