"""What PostgreSQL knows of the workers and of their duties; a file as database has neither."""

from sqlalchemy import Connection

_TABLES = "SELECT to_regclass('procrastinate_jobs') IS NOT NULL"
_LIVING = """
SELECT count(*) FROM procrastinate_workers
WHERE last_heartbeat > now() - make_interval(secs => %s)
"""
_DUTIES = """
SELECT count(*) FILTER (WHERE status = 'todo'), count(*) FILTER (WHERE status = 'doing')
FROM procrastinate_jobs
"""


def living(connection: Connection, seconds: float) -> int:
    """Return how many workers have given a sign of life in so many seconds."""
    if not _are_there(connection):
        return 0
    return int(connection.exec_driver_sql(_LIVING, (seconds,)).scalar_one())


def duties(connection: Connection) -> tuple[int, int]:
    """Return how many duties wait for a worker, and how many are done by one."""
    if not _are_there(connection):
        return 0, 0
    waiting, running = connection.exec_driver_sql(_DUTIES).one()
    return int(waiting), int(running)


def _are_there(connection: Connection) -> bool:
    """Whether a worker has ever made the tables."""
    return bool(connection.exec_driver_sql(_TABLES).scalar_one())
