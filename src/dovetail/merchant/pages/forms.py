"""What a form of the pages was filled in with."""

from collections.abc import Mapping
from urllib.parse import parse_qsl

from dovetail.merchant.api.problems import Kind, Refused
from dovetail.merchant.api.routes.common import ApiRequest


class WrongFieldError(Exception):
    """A field makes no sense; the words are a phrase, which says what to do."""

    def __init__(self, words: str, **values: str | int) -> None:
        """The words take these values."""
        self.words, self.values = words, values
        super().__init__(words % values if values else words)


def fields_of(request: ApiRequest, *, most: int) -> Mapping[str, str]:
    """The fields of a form without blanks around them, of each the last; raises `Refused`.

    A form of more than `most` fields is none of the pages'.
    """
    body: bytes = request.scope["state"]["body"]
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=most
        )
    except ValueError:
        raise Refused(Kind.MALFORMED) from None
    return {name: value.strip() for name, value in pairs}
