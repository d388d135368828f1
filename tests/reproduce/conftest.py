from tests.login_node import queue, work

__all__ = ["queue", "work"]
