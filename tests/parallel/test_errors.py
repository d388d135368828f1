import pytest

from nqs_hpc.parallel.errors import error_text


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("a\n  b\tc"), "ValueError: a b c"),
        (KeyError("k"), "KeyError: 'k'"),
        (RuntimeError(), "RuntimeError"),
        (SystemExit(3), "SystemExit: 3"),
        (ValueError("x" * 400), "ValueError: " + "x" * 5 + "..."),
    ],
)
def test_an_error_is_one_short_line(error, text):
    assert error_text(error, 20) == text
