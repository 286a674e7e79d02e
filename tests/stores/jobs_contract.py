"""The promises of every writer: inherit `JobsContract`, and give it `engine` and `writer`."""

from collections.abc import Callable

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import IntegrityError

from dovetail.errors import StoreUnavailable, UsageError
from dovetail.stores.sql.jobs import Jobs

TABLE = text("CREATE TABLE numbers (n INTEGER PRIMARY KEY)")


def put(connection: Connection, n: int) -> int:
    connection.execute(text("INSERT INTO numbers VALUES (:n)"), {"n": n})
    return n


def putting(n: int) -> Callable[[Connection], int]:
    return lambda connection: put(connection, n)


def numbers(engine: Engine) -> list[int]:
    with engine.connect() as connection:
        return list(connection.execute(text("SELECT n FROM numbers ORDER BY n")).scalars())


class JobsContract:
    """The tests of every writer."""

    def test_a_job_is_durable_when_its_result_arrives(self, writer: Jobs, engine: Engine) -> None:
        assert writer.run(putting(7)) == 7
        assert numbers(engine) == [7]

    def test_an_unforeseen_fault_takes_its_own_write_back(
        self, writer: Jobs, engine: Engine
    ) -> None:
        def fail(connection: Connection) -> None:
            put(connection, 5)
            raise LookupError("a fault of the caller's own")

        for isolated in (True, False):
            with pytest.raises(LookupError):
                writer.run(fail, isolated=isolated)
        assert numbers(engine) == []

    def test_work_that_runs_once_hears_of_its_own_conflict(
        self, writer: Jobs, engine: Engine
    ) -> None:
        writer.run(putting(1))
        with pytest.raises(IntegrityError):
            writer.run(putting(1), once=True)
        with pytest.raises(StoreUnavailable):
            writer.run(putting(1))
        assert numbers(engine) == [1]

    def test_a_write_inside_a_write_raises_at_once(self, writer: Jobs, engine: Engine) -> None:
        def nested(connection: Connection) -> None:
            put(connection, 1)
            writer.run(putting(2))

        def closing(_connection: Connection) -> None:
            writer.close()

        for work in (nested, closing):
            with pytest.raises(UsageError, match="inside another"):
                writer.run(work)
        assert writer.run(putting(3)) == 3
        assert numbers(engine) == [3]
