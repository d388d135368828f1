import os
import signal
import subprocess
import sys
import time

import pytest

from nqs_hpc.job import lifecycle as module
from nqs_hpc.job.lifecycle import Verdict, done, lifecycle, stop_requested, write_done

GO_ON = Verdict(stop=False, save=False, reason="")


@pytest.fixture
def watch(tmp_path, serial):
    opened = []

    def start(world=serial, **options):
        opened.append(lifecycle(tmp_path, world, **{"max_seconds": None} | options))
        return opened[-1]

    yield start
    for life in reversed(opened):
        life.close()


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


def test_close_restores_the_handlers(watch):
    mine = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        before = [signal.getsignal(number) for number in module.SIGNALS]
        life = watch()
        assert all(signal.getsignal(n) != old for n, old in zip(module.SIGNALS, before, strict=True))
        life.close()
        assert [signal.getsignal(number) for number in module.SIGNALS] == before
    finally:
        signal.signal(signal.SIGUSR1, mine)


LOOP = """
import sys, time
from pathlib import Path
from nqs_hpc.job.lifecycle import lifecycle
from nqs_hpc.parallel.world import World
ident = lambda obj: obj
world = World(0, 1, 0, 1, ident, lambda obj: [obj], lambda obj: [obj], ident, lambda: None, ident, "by hand")
life = lifecycle(Path(sys.argv[1]), world, max_seconds=None)
print("ready", flush=True)
while not (verdict := life.check(0.01, 0.0, False)).stop:
    time.sleep(0.01)
print(verdict.reason)
sys.exit(85)
"""


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
