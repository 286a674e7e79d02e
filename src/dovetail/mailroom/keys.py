"""A gateway's OHTTP keys: created, kept in a private file, and rotated (RFC 9458 §6.4)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any, Self

from dovetail.crypto.entropy import Entropy, system
from dovetail.crypto.ohttp import GatewayKey
from dovetail.crypto.secp256k1 import SecretKey
from dovetail.durable_files import replace_durably
from dovetail.errors import ConfigurationError, InvalidKey, InvalidOhttp, StoreUnavailable

_KEY_IDS = 256
_FORMAT = 1
_DAMAGE = (
    *(ValueError, TypeError, KeyError, OverflowError, RecursionError),
    *(InvalidKey, InvalidOhttp),
)


@dataclass(frozen=True, slots=True)
class _DatedKey:
    key: GatewayKey
    since: float = field(repr=False)


@dataclass(frozen=True, slots=True)
class Standing:
    """A key without its secret: its id, and the Unix times between which it is accepted."""

    key_id: int
    since: float
    until: float | None
    """None for the newest one, which is published."""


class KeyRing:
    """The newest key, which is published, and older keys, which are accepted for a while.

    A key is accepted for `honoured` seconds after the next one replaced it. Until then no other
    key gets its id.
    """

    def __init__(
        self, path: Path, keys: tuple[_DatedKey, ...], *, honoured: float, entropy: Entropy
    ) -> None:
        self._path = path
        self._honoured = honoured
        self._entropy = entropy
        self._set(keys)

    @classmethod
    def open(cls, path: Path, *, honoured: float, now: float, entropy: Entropy = system) -> Self:
        """Read the file at `path`, or create a first key and the file, with mode 0600.

        Raises `ConfigurationError` for a file that is damaged, which is left as it is, and
        `StoreUnavailable` when it cannot be read or written.
        """
        try:
            text = path.read_bytes()
            path.chmod(0o600)
        except FileNotFoundError:
            ring = cls(path, (), honoured=honoured, entropy=entropy)
            ring.rotate(now)
            return ring
        except OSError as error:
            raise _unusable(error) from error
        return cls(path, _parse(text), honoured=honoured, entropy=entropy)

    @classmethod
    def read(cls, path: Path, honoured: float) -> tuple[Standing, ...]:
        """Return how the keys of a file stand, the oldest first, and change nothing.

        Raises `ConfigurationError` and `StoreUnavailable`.
        """
        try:
            return cls(path, _parse(path.read_bytes()), honoured=honoured, entropy=system).standings
        except FileNotFoundError:
            raise ConfigurationError(
                f"There are no OHTTP keys in {path.parent}: the first start of a mailroom makes"
                " one."
            ) from None
        except OSError as error:
            raise _unusable(error) from error

    @property
    def standings(self) -> tuple[Standing, ...]:
        """How each key stands, the oldest first."""
        ends = [*(dated.since + self._honoured for dated in self._keys[1:]), None]
        return tuple(
            Standing(dated.key.key_id, dated.since, until)
            for dated, until in zip(self._keys, ends, strict=True)
        )

    @property
    def served(self) -> bytes:
        """The newest key's 74-byte configuration."""
        return self._served

    @property
    def accepted(self) -> Mapping[int, GatewayKey]:
        """All accepted keys by id."""
        return self._accepted

    def age(self, now: float) -> float:
        """Return for how many seconds the newest key has been published."""
        return now - self._keys[-1].since

    def rotate(self, now: float) -> None:
        """Create a key, store it durably, and publish it from now on.

        Raises `ConfigurationError` if every id is in use, and `StoreUnavailable`.
        """
        kept = self._live(now)
        taken = {dated.key.key_id for dated in kept}
        start = kept[-1].key.key_id + 1 if kept else self._entropy(1)[0]
        ids = (at % _KEY_IDS for at in range(start, start + _KEY_IDS))
        free = next((key_id for key_id in ids if key_id not in taken), None)
        if free is None:
            raise ConfigurationError("All 256 OHTTP key ids are in use: raise `key_lifetime`.")
        key = GatewayKey(free, SecretKey.generate(entropy=self._entropy))
        self._write((*kept, _DatedKey(key, now)))

    def forget(self, now: float) -> None:
        """Destroy the keys that are no longer accepted; raises `StoreUnavailable`."""
        kept = self._live(now)
        if len(kept) < len(self._keys):
            self._write(kept)

    def _live(self, now: float) -> tuple[_DatedKey, ...]:
        """Return the newest key, and those replaced less than `honoured` seconds ago."""
        replaced = [dated.since for dated in self._keys[1:]]
        live = [
            dated
            for dated, until in zip(self._keys, replaced, strict=False)
            if until + self._honoured > now
        ]
        return (*live, *self._keys[-1:])

    def _set(self, keys: tuple[_DatedKey, ...]) -> None:
        self._keys = keys
        self._accepted = {dated.key.key_id: dated.key for dated in keys}
        self._served = keys[-1].key.config.serialize() if keys else b""

    def _write(self, keys: tuple[_DatedKey, ...]) -> None:
        document = {
            "format": _FORMAT,
            "keys": [
                {
                    "id": dated.key.key_id,
                    "secret": dated.key.secret.reveal().hex(),
                    "since": dated.since,
                }
                for dated in keys
            ],
        }
        try:
            replace_durably(self._path, json.dumps(document).encode())
        except OSError as error:
            raise _unusable(error) from error
        self._set(keys)


def _parse(text: bytes) -> tuple[_DatedKey, ...]:
    try:
        document = json.loads(text)
        if document["format"] == _FORMAT and document["keys"]:
            keys = tuple(map(_parse_key, document["keys"]))
            if len({dated.key.key_id for dated in keys}) == len(keys):
                return keys
    except _DAMAGE:
        pass  # a chained cause could quote the file's secrets (P4)
    raise ConfigurationError("The file of the OHTTP keys is damaged: restore a copy or remove it.")


def _parse_key(fields: Any) -> _DatedKey:
    secret = SecretKey(bytes.fromhex(fields["secret"]))
    since = float(fields["since"])
    if not isfinite(since):
        raise ValueError
    return _DatedKey(GatewayKey(int(fields["id"]), secret), since)


def _unusable(error: OSError) -> StoreUnavailable:
    return StoreUnavailable(
        f"The file of the OHTTP keys cannot be used: {error.strerror}. Check its folder and disk."
    )
