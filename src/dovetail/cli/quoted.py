"""The other party's words, as they are shown."""


def printable(text: str, *, most: int | None = None) -> str:
    """The text without what could move the cursor or hide the rest; shortened to `most`."""
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    return plain if most is None or len(plain) <= most else f"{plain[: most - 1]}…"
