"""What others may do to a folder while a job uses it, by accident or not: nothing outside it changes, no job hangs.

A folder is moved and another run started in its place; the lock is removed; links and FIFOs lie where files are wanted.
"""

import fcntl
import itertools
import json
import os
import socket
from contextlib import suppress
from pathlib import Path

import pytest

from nqs_hpc.config.admission import refusal
from nqs_hpc.config.compose import compose
from nqs_hpc.config.identity import run_folder
from nqs_hpc.job import files, lock, log, study, tensorboard
from nqs_hpc.job.lifecycle import lifecycle, stop_requested
from nqs_hpc.report.places import RunFolders
from nqs_hpc.sweep.study import LOCK

HOST = socket.gethostname()


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    yield
    for folder in list(lock._held):
        lock.release(folder)


@pytest.fixture
def run(tmp_path):
    """The folder of a run that this process has locked."""
    folder = tmp_path / "run"
    files.make(folder / "checkpoints")
    assert lock.lock(folder) is None
    return folder


def another_run(folder):
    """What a second start puts at the path of a folder that was moved away."""
    (folder / "checkpoints").mkdir(parents=True)
    for name in (".lock", "metrics.jsonl", "summary.json", "DONE", "SAVE", "checkpoints/step_00000001.h5"):
        (folder / name).write_text(f"{name} of another run")


def content(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


WRITES = {
    "a file": lambda folder: files.write(folder / "summary.json", "mine"),
    "json": lambda folder: files.write_json(folder / "manifest.json", {}),
    "a checkpoint": lambda folder: files.write(folder / "checkpoints" / "step_00000002.h5", b"mine"),
    "pruning": lambda folder: files.remove(folder / "checkpoints" / "step_00000001.h5"),
    "removing": lambda folder: files.remove(folder / "DONE"),
    "a subfolder": lambda folder: files.subfolder(folder / "tensorboard"),
    "flushing": lambda folder: files.sync_folder(folder),
    "a new log": lambda folder: log.log(folder / "metrics.jsonl"),
    "leftovers": lambda folder: files.clean(folder / "checkpoints"),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_folder_that_was_moved_is_let_be_and_so_is_the_one_in_its_place(run, tmp_path, write):
    run.rename(tmp_path / "moved")
    another_run(run)
    theirs, ours = content(run), content(tmp_path / "moved")
    with pytest.raises(lock.Lost, match=rf"run was moved or replaced \(it is {tmp_path}/moved now\): this job writes"):
        write(run)
    assert content(run) == theirs and content(tmp_path / "moved") == ours


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize("again", [False, True])
def test_a_lock_that_was_removed_ends_the_job_at_its_next_write(run, write, again):
    (run / ".lock").unlink()
    if again:
        (run / ".lock").write_text("")  # as a second start would make it
    before = content(run)
    with pytest.raises(lock.Lost, match=r"\.lock was removed or replaced, so another job may have started") as caught:
        write(run)
    assert "\n" not in str(caught.value) and content(run) == before


def test_lines_of_an_open_log_too(run, tmp_path):
    journal = log.log(run / "metrics.jsonl")
    journal.append({"step": 1})
    run.rename(tmp_path / "moved")
    with pytest.raises(lock.Lost):
        journal.append({"step": 2})
    assert [line["step"] for line in log.read(tmp_path / "moved" / "metrics.jsonl")] == [1]
    journal.close()
    (tmp_path / "moved").rename(run)  # and back: it is ours again
    files.write(run / "summary.json", "mine")


def test_moved_between_the_look_and_the_write_it_lands_in_the_moved_folder(run, tmp_path, monkeypatch):
    """However late: what is written goes where the lock is."""
    opened = files._fresh

    def moved_meanwhile(name, place):
        run.rename(tmp_path / "moved")
        another_run(run)
        return opened(name, place)

    monkeypatch.setattr(files, "_fresh", moved_meanwhile)
    files.write(run / "summary.json", "mine")
    assert (tmp_path / "moved" / "summary.json").read_text() == "mine"
    assert (run / "summary.json").read_text() == "summary.json of another run"


def test_a_parent_that_was_moved_or_a_link_led_elsewhere(tmp_path):
    """The folder itself, or its parent, may be a link to a scratch disk: until that leads elsewhere."""
    for disk in ("scratch1", "scratch2"):
        (tmp_path / disk / "run").mkdir(parents=True)
    (tmp_path / "runs").symlink_to(tmp_path / "scratch1")
    folder = tmp_path / "runs" / "run"
    assert lock.lock(folder) is None
    files.write(folder / "summary.json", "mine")
    (tmp_path / "runs").unlink()
    (tmp_path / "runs").symlink_to(tmp_path / "scratch2")
    with pytest.raises(lock.Lost, match=r"moved or replaced \(it is .*/scratch1/run now\)"):
        files.write(folder / "summary.json", "mine")
    assert content(tmp_path / "scratch2") == {}


def test_without_its_lock_file_a_folder_is_still_in_use(run):
    """Of one host at least: the folder itself is locked too."""
    (run / ".lock").unlink()
    assert lock.in_use(run) == "another process"
    assert "in use by another process: one job a run folder" in lock.lock(run)
    assert not (run / ".lock").exists()


def test_a_folder_that_is_gone(run):
    for path in (run / ".lock", run / "checkpoints"):
        path.unlink() if path.is_file() else path.rmdir()
    run.rmdir()
    with pytest.raises(lock.Lost, match=r"run was moved or replaced: this job writes nothing more"):
        files.write(run / "summary.json", "mine")
    lock.release(run)


# --- taking a lock, and giving it back


def test_a_lock_file_that_its_holder_removes_is_not_taken_for_one(tmp_path, monkeypatch):
    """We open the file, its holder removes it and ends, a third process makes another one: that one alone has it."""
    path, flock, third = tmp_path / ".lock", lock.flock, []

    def late(descriptor, operation, where):
        if not third and where == path:
            path.unlink()
            third.append(os.open(path, os.O_RDWR | os.O_CREAT))
            fcntl.flock(third[0], fcntl.LOCK_EX)
        return flock(descriptor, operation, where)

    monkeypatch.setattr(lock, "flock", late)
    assert "in use by another process" in lock.lock(tmp_path)
    assert third and os.path.samestat(os.fstat(third[0]), os.stat(path))
    os.close(third[0])


def test_what_a_start_made_is_taken_back_under_its_lock(tmp_path, monkeypatch):
    made = files.make(tmp_path / "runs" / "run" / "checkpoints")
    folder = tmp_path / "runs" / "run"
    assert lock.lock(folder) is None
    unmake, others = files.unmake, []

    def meanwhile(folders):
        others.append(lock.lock(folder))  # a second start, just then
        unmake(folders)

    monkeypatch.setattr(files, "unmake", meanwhile)
    lock.withdraw(folder, made)
    assert "in use by" in others[0] and not (tmp_path / "runs").exists()


def test_what_is_taken_back_is_not_that_of_another_run(run, tmp_path):
    run.rename(tmp_path / "moved")
    another_run(run)
    theirs = content(run)
    lock.withdraw(run, [run, run / "checkpoints"])
    assert content(run) == theirs


def test_who_only_looks_does_not_keep_a_start_away(tmp_path, monkeypatch):
    """`status` and a launch lock for a moment, to see whether somebody else does."""
    (tmp_path / ".lock").touch()
    look = os.open(tmp_path / ".lock", os.O_RDONLY)
    fcntl.flock(look, fcntl.LOCK_SH)
    monkeypatch.setattr(lock.time, "sleep", lambda seconds: fcntl.flock(look, fcntl.LOCK_UN))
    assert lock.lock(tmp_path) is None
    os.close(look)


def test_a_lock_file_with_a_second_name_is_left_whole(tmp_path):
    """A copy of hard links: the other one keeps its content."""
    (tmp_path / "backup").write_text("precious")
    os.link(tmp_path / "backup", tmp_path / ".lock")
    assert lock.lock(tmp_path) is None
    assert (tmp_path / "backup").read_text() == "precious"
    files.write(tmp_path / "summary.json", "mine")


def refuse_locks(number):
    def flock(descriptor, operation):
        raise OSError(number, os.strerror(number))

    return flock


@pytest.mark.parametrize("number", lock._WITHOUT)
def test_a_file_system_without_locks_is_named(tmp_path, monkeypatch, number):
    """By a job, by a launch, by whoever asks whether a folder is in use: the file, and what to do."""
    (tmp_path / ".lock").touch()
    monkeypatch.setattr(fcntl, "flock", refuse_locks(number))

    def launch():
        with lock.alone(tmp_path / LOCK, wait=False):
            pass

    def submit():
        with lock.alone(tmp_path / ".submit", wait=True):
            pass

    for name, act in {
        ".lock": lambda: lock.lock(tmp_path),
        "/.lock": lambda: lock.in_use(tmp_path),
        LOCK: launch,
        ".submit": submit,
    }.items():
        with pytest.raises(OSError) as caught:
            act()
        assert files.said(caught.value).startswith(str(tmp_path / name.strip("/"))), name
        assert "no locks (flock): mount it with them, or choose a folder elsewhere" in files.said(caught.value)


# --- links and special files


def plant(kind, path, target):
    """Put something of ``kind`` at ``path``; links lead to ``target``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        path.unlink()
    match kind:
        case "link":
            path.symlink_to(target)
        case "dangling link":
            path.symlink_to(target.with_name("nothing"))
        case "FIFO":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "socket":
            with socket.socket(socket.AF_UNIX) as server:
                cwd = os.getcwd()
                os.chdir(path.parent)  # their paths are short
                server.bind(path.name)
                os.chdir(cwd)
    return path


@pytest.fixture
def precious(tmp_path):
    path = tmp_path / "elsewhere" / "precious"
    path.parent.mkdir()
    path.write_text("precious")
    yield path
    assert content(path.parent) == {Path("precious"): b"precious"}


SPECIAL = ["link", "dangling link", "FIFO", "folder", "socket"]


@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.parametrize("name", [".lock", ".submit", LOCK])
def test_locks_that_are_no_files(tmp_path, precious, kind, name):
    path = plant(kind, tmp_path / "run" / name, precious)

    def take():
        if name == ".lock":
            return lock.lock(path.parent)
        with lock.alone(path, wait=True):
            return None

    with pytest.raises(OSError, match="not a file of its own") as caught:
        take()
    assert caught.value.filename == str(path)
    assert lock.in_use(path.parent) == "" and not lock._held


@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.parametrize("name", ["metrics.jsonl", "output.log", f"tensorboard/{tensorboard.NAME}"])
def test_logs_that_are_no_files(tmp_path, precious, kind, name):
    path = plant(kind, tmp_path / "run" / name, precious)
    with pytest.raises(OSError, match="not a file of its own") as caught:
        log.appender(path)
    assert caught.value.filename == str(path)


@pytest.mark.parametrize("kind", SPECIAL)
def test_a_file_that_is_replaced_is_replaced_itself(tmp_path, precious, kind):
    """summary.json and its like are renamed into place: what a link names stays, a folder is an error in words."""
    path = plant(kind, tmp_path / "run" / "summary.json", precious)
    if kind == "folder":
        with pytest.raises(IsADirectoryError) as caught:
            files.write(path, "mine")
        assert caught.value.filename == str(path)
    else:
        files.write(path, "mine")
        assert path.read_text() == "mine" and not path.is_symlink()
    assert os.listdir(path.parent) == ["summary.json"]


@pytest.mark.parametrize("kind", SPECIAL)
def test_a_temporary_file_that_was_planted(tmp_path, precious, kind):
    folder = tmp_path / "run"
    trap = plant(kind, folder / f".summary.json.{HOST}.{os.getpid()}.tmp", precious)
    if kind == "folder":
        with pytest.raises(OSError):
            files.write(folder / "summary.json", "mine")
        assert files.clean(folder) == []
    else:
        files.write(folder / "summary.json", "mine")
        assert (folder / "summary.json").read_text() == "mine" and not trap.is_symlink()
        plant(kind, trap, precious)
        assert files.clean(folder) == [trap.name] and not trap.is_symlink()


def test_leftovers_with_numbers_of_no_process(tmp_path):
    for pid in ("99999999999999999999999", "²", "0"):
        (tmp_path / f".a.{HOST}.{pid}.tmp").touch()
    assert files.clean(tmp_path) == []


FOLDERS = {
    "checkpoints": lambda folder: files.write(files.subfolder(folder / "checkpoints") / "step_00000001.h5", b"mine"),
    "tensorboard": tensorboard.match,
    "logs": lambda folder: files.subfolder(folder / "logs"),
    "report": lambda folder: _report(folder),
}


def _report(folder):
    pytest.importorskip("matplotlib")
    from nqs_hpc.report.curves import FitOptions
    from nqs_hpc.report.page import gathered, make

    of = RunFolders(folder, None, [], [])
    make(of, *gathered(of, FitOptions()))


@pytest.mark.parametrize("kind", ["link to a folder", *SPECIAL[:3]])
@pytest.mark.parametrize("name", FOLDERS)
def test_folders_of_ours_that_are_none(tmp_path, precious, kind, name):
    folder = tmp_path / "run"
    plant(kind.removesuffix(" to a folder"), folder / name, precious.parent if kind.endswith("folder") else precious)
    if name == "tensorboard":
        pytest.importorskip("tensorboardX")
    with pytest.raises(OSError, match=r"it is a (link|FIFO), not a folder of its own") as caught:
        FOLDERS[name](folder)
    assert caught.value.filename == str(folder / name)
    with pytest.raises(ValueError, match=f"{name} is a (link|FIFO), where a folder of its own belongs: move it away"):
        files.check_places(folder)


def test_checkpoints_that_become_a_link_later_are_not_followed(run, precious):
    """Neither to write nor to prune."""
    files.subfolder(run / "checkpoints")
    (run / "checkpoints").rmdir()
    (run / "checkpoints").symlink_to(precious.parent)
    for act in (
        lambda: files.write(run / "checkpoints" / "precious", b"mine"),
        lambda: files.remove(run / "checkpoints" / "precious"),
        lambda: files.clean(run / "checkpoints"),
    ):
        with pytest.raises(OSError, match="it is a link, not a folder of its own"):
            act()


def test_a_start_names_what_stands_in_the_place_of_a_file(tmp_path, monkeypatch, precious):
    """Job, submit and sweep ask this first: nothing is read, so nothing hangs."""
    monkeypatch.chdir(tmp_path)
    config = compose(["run_dir=run"], None)
    for name, kind in itertools.product(files.FILES, SPECIAL):
        path = plant(kind, tmp_path / "run" / name, precious)
        what = kind.removeprefix("dangling ")
        with pytest.raises(ValueError, match=f"{name} is a {what}, where a file of its own belongs: move it away"):
            refusal(config, run_folder(config))
        assert os.listdir(tmp_path / "run") == [name]
        path.rmdir() if kind == "folder" else path.unlink()


# --- STOP and SAVE of every kind


@pytest.mark.parametrize("kind", SPECIAL)
def test_stop_and_save_count_whatever_they_are(run, precious, serial, kind):
    class Quiet:
        flags = staticmethod(lambda: 0)

    watch = lifecycle(run, serial, Quiet, max_seconds=None)
    plant(kind, run / "SAVE", precious)
    verdict = watch.check()
    assert verdict.save and not verdict.stop and verdict.reason == "SAVE file"
    line = watch.saved()
    if kind == "folder":  # it cannot be removed as a file: it was obeyed, and has no further effect
        assert "SAVE was obeyed and cannot be removed (Is a directory)" in line and "\n" not in line
        assert not watch.check().save and watch.saved() == ""
        (run / "SAVE").rmdir()
        (run / "SAVE").touch()  # another one
        assert watch.check().save and watch.saved() == ""
    assert line == "" or kind == "folder"
    assert not (run / "SAVE").is_symlink() and not (run / "SAVE").exists()
    plant(kind, run / "STOP", precious)
    assert stop_requested(run) and watch.check().reason == "STOP file"


def test_save_of_another_run_stays(run, tmp_path, serial):
    class Quiet:
        flags = staticmethod(lambda: 0)

    watch = lifecycle(run, serial, Quiet, max_seconds=None)
    run.rename(tmp_path / "moved")
    another_run(run)
    assert watch.check().save and watch.saved() == "" and (run / "SAVE").exists()


# --- the folder of a sweep


def test_a_launch_writes_nothing_into_another_sweep(tmp_path):
    folder = tmp_path / "sweep"
    folder.mkdir()
    ours = study.Study("a", "/", "local", [], [])
    with lock.alone(folder / LOCK, wait=False, guard=True) as mine:
        assert mine
        study.write(folder, ours)
        folder.rename(tmp_path / "moved")
        folder.mkdir()
        with pytest.raises(lock.Lost, match=r"sweep was moved or replaced .* this launch writes nothing more"):
            study.write(folder, ours)
    assert os.listdir(folder) == [] and json.loads((tmp_path / "moved" / "manifest.json").read_text())["study"] == "a"
    with lock.alone(folder / LOCK, wait=False) as mine:
        assert mine
        with lock.alone(folder / LOCK, wait=False) as second:
            assert not second
