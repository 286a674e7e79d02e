"""Alembic's entry: run the scripts on the connection we were given."""

from alembic import context

attributes = context.config.attributes
context.configure(
    connection=attributes["connection"],
    transactional_ddl=True,
    version_table=attributes["versions"],
)
with context.begin_transaction():
    context.run_migrations()
