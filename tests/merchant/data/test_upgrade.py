"""A database of the till's first schema, with rows, is upgraded, and says the same as before."""

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import Connection, text
from tests.merchant import builders
from tests.support.clock import Clock

from dovetail.bitcoin import UnixTime
from dovetail.merchant.data import (
    api_keys,
    coins,
    events,
    invoices,
    migrations,
    record,
    refunds,
    stores,
    users,
    wallets,
    webhooks,
)
from dovetail.merchant.data.database import Database
from dovetail.merchant.data.migrations import VERSIONS, count_writes, types_of
from dovetail.merchant.messages import StorePolicy
from dovetail.stores.sql import PostgresStore, SqliteStore
