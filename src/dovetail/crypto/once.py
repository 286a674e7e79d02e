"""A value that can be taken once: what keeps one-shot cryptographic contexts one-shot (P1)."""

from typing import Generic, NoReturn, TypeVar

from dovetail.errors import ContextUsedUp

T = TypeVar("T")


class Once(Generic[T]):
    """Holds a value until it is taken; whatever contains one can be neither pickled nor copied."""

    __slots__ = ("_held",)

    def __init__(self, value: T) -> None:
        self._held = [value]

    def take(self) -> T:
        """Hand over the value; a second call raises ContextUsedUp, also between threads."""
        try:
            # list.pop is atomic: two threads can never both get the value.
            return self._held.pop()
        except IndexError:
            raise ContextUsedUp(
                "This cryptographic context has been used; start again with a fresh one (P1)."
            ) from None

    def __reduce__(self) -> NoReturn:
        raise TypeError("A one-shot cryptographic context cannot be pickled or copied (P1).")
