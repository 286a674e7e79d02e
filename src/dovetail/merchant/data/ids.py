"""Ids of a shop's rows: UUIDs of version 7, so that rows are ordered by their age."""

from dovetail.stores.uuid7 import Uuid7

new_id = Uuid7()
"""Returns an id that is higher than every earlier one of this process."""
