"""The keychains of a shop's wallet."""

from enum import StrEnum


class Keychain(StrEnum):
    """Which of a wallet's descriptors a script is from."""

    HOT = "hot"
    """The signer has its keys."""
    COLD = "cold"
    """No server has its keys."""
