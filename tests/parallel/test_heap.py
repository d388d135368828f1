"""In a heap full of text, memory asked for within the block has zeros behind it; outside it has text."""

import subprocess
import sys
from pathlib import Path

import pytest

# As a start would leave it, at its worst: blocks of all sizes, every second one free, no zero in any.
DENSE = """\
import ctypes, os
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
blocks = []
for i in range(20000):
    size = 64 + i * 37 % 2000
    blocks.append(libc.malloc(size))
    ctypes.memset(blocks[-1], 0x41, size)
for block in blocks[::2]:
    libc.free(block)
"""
LOOK = """
from nqs_hpc.parallel.heap import fresh_memory
copy = ctypes.create_string_buffer(4096)
def behind():
    ctypes.memmove(copy, libc.malloc(300) + 320, 4096)
    return min(copy.raw[511 * i : 511 * (i + 1)].count(0) for i in range(8))
before = behind()
with fresh_memory():
    inside = behind()
print(before, inside)
"""


@pytest.mark.parametrize(("nodes", "fresh"), [("2", True), ("1", False)])
def test_memory_is_fresh_within_the_block(nodes, fresh):
    done = subprocess.run(
        [sys.executable, "-c", DENSE + LOOK],
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "SLURM_STEP_NUM_NODES": nodes},
        capture_output=True,
        text=True,
        check=True,
    )
    before, inside = map(int, done.stdout.split())
    assert before < 20 and inside > 490 if fresh else before < 20 and inside < 20, (before, inside)
