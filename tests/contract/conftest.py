"""The order of contract tests: all of a case, one after the other."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In each file the tests of one `name` follow each other. They share programs, which would be traced and compiled
    again for each test where the memory that they fill is cleared in between (tests/conftest.py).
    """
    first: dict[object, int] = {}

    def place(item: pytest.Item, i: int) -> int:
        if item.path.parent != HERE or not isinstance(item, pytest.Function) or not hasattr(item, "callspec"):
            return i
        name = item.callspec.params.get("name")
        return i if name is None else first.setdefault((item.path, name), i)

    places = [place(item, i) for i, item in enumerate(items)]
    items[:] = [items[i] for i in sorted(range(len(items)), key=places.__getitem__)]
