"""Callers of this library see no task group of its own, and so no group of errors that one made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def single_errors() -> Iterator[None]:
    """Put around a task group: where one error came out of it, once or several times, that is raised.

    A group inside the group is its maker's business, and stays.
    """
    try:
        yield
    except BaseExceptionGroup as group:
        errors = {id(error): error for error in group.exceptions}
        if len(errors) == 1:
            (error,) = errors.values()
            raise error from error.__cause__
        raise
