"""A savepoint: a part of a transaction that is taken back alone."""

from collections.abc import Generator
from contextlib import contextmanager, suppress

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError


@contextmanager
def savepoint(connection: Connection) -> Generator[None]:
    """Roll back the block's writes if it raises; database faults are raised unchanged.

    A full disk in SQLite, and a lost connection, end the whole transaction with its savepoint.
    """
    nested = connection.begin_nested()
    try:
        yield
    except DBAPIError:
        with suppress(DBAPIError):
            nested.rollback()
        raise
    except BaseException:
        nested.rollback()
        raise
    nested.commit()
