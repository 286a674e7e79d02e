"""`docs/reference/states.md`, drawn from the tables and the docstrings themselves."""

import inspect
from collections.abc import Iterable

from dovetail.sessions import receiver, sender
from dovetail.sessions.diagram import mermaid
from dovetail.sessions.table import Edge

_HEAD = """\
# States and events

<!-- Written by `python -m tools.docs.reference`; edit the sessions instead. -->

A session is the log of its events; a state is what they add up to. Each arrow below is a row of
the table `TRANSITIONS`, which the tests hold against every state and every event. Why there was no
payjoin, how a session ended and where it stands are told by [codes](codes.md).
"""


def page() -> str:
    """The whole page."""
    return "\n".join(
        [
            _HEAD,
            _role("The receiver", receiver.TRANSITIONS),
            _role("The sender", sender.TRANSITIONS),
        ]
    )


def _role(title: str, transitions: Iterable[Edge]) -> str:
    edges = tuple(transitions)
    states = dict.fromkeys(after for _, _, after in edges)
    happened = dict.fromkeys(event for _, event, _ in edges)
    return f"""\
## {title}

```mermaid
{mermaid(edges)}
```

{_table("state", states)}
{_table("event", happened)}"""


def _table(heading: str, kinds: Iterable[type]) -> str:
    rows = "\n".join(f"| `{kind.__name__}` | {_summary(kind)} |" for kind in kinds)
    return f"| {heading} | meaning |\n|---|---|\n{rows}\n"


def _summary(kind: type) -> str:
    return inspect.cleandoc(kind.__doc__ or "").split("\n\n")[0].replace("\n", " ")
