"""What goes wrong when a shop is asked: it refuses, or there is no proper answer."""

from uuid import UUID

from dovetail.errors import DovetailError, TransportError
from dovetail.merchant.messages.base import FieldError, Problem

_URN = "urn:dovetail:problem:"


class ShopProblem(DovetailError):
    """The shop refuses a request or failed at it, and says why (RFC 9457).

    The message is the problem's own sentence: what happened and what to do next.
    """

    def __init__(self, problem: Problem, *, retry_after: float | None = None) -> None:
        super().__init__(problem.detail or problem.title)
        self.problem = problem
        self.retry_after = retry_after
        """Seconds after which the request may be repeated, where the shop tells that."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.problem.status

    @property
    def kind(self) -> str:
        """The stable code of the problem, such as `not-found`."""
        return self.problem.type.removeprefix(_URN)

    @property
    def errors(self) -> tuple[FieldError, ...]:
        """The fields that are wrong."""
        return self.problem.errors

    @property
    def request_id(self) -> UUID | None:
        """The request's id, which the shop's log names too."""
        return self.problem.request_id


class ShopUnreachable(TransportError):
    """There is no connection to the shop, or no proper answer came from it."""

    def __init__(self, message: str, *, sent: bool = True, passing: bool = True) -> None:
        super().__init__(message)
        self.sent = sent
        """Whether the request may have arrived. What came of it is unknown then."""
        self.passing = passing
        """Whether a later attempt may help."""
