"""Parts that several texts share: amounts, the other party's words, an unreadable log."""

UNREADABLE = "Its log cannot be read; it is left as it is."
RESTORE = "Upgrade Dovetail, or restore the database from a backup."
RECEIVER_CAN_TAKE = "The receiver can still take this payment."


def sats(amount: int) -> str:
    """An amount for people, such as `50,000 sats`."""
    return f"{amount:,} sat" if amount == 1 else f"{amount:,} sats"


def printable(text: str, *, most: int | None = None) -> str:
    """The text without what could move the cursor or hide the rest; shortened to `most`."""
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    return plain if most is None or len(plain) <= most else f"{plain[: most - 1]}…"
