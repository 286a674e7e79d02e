"""A state machine's table as a Mermaid diagram, so that the documentation cannot disagree."""

from collections.abc import Iterable

from dovetail.sessions.table import Edge


def mermaid(transitions: Iterable[Edge]) -> str:
    """A `stateDiagram-v2` of (state, event, state) rows; None is before the first event."""
    arrows: dict[tuple[str, str], list[str]] = {}
    ends: list[str] = []
    for before, event, after in transitions:
        source = "[*]" if before is None else before.__name__
        arrows.setdefault((source, after.__name__), []).append(event.__name__)
        if after.__name__ not in ends:
            ends.append(after.__name__)
    sources = {source for source, _ in arrows}
    lines = ["stateDiagram-v2"]
    for (source, target), events in arrows.items():
        lines.append(f"  {source} --> {target}: {', '.join(events)}")
    lines += [f"  {state} --> [*]" for state in ends if state not in sources]
    return "\n".join(lines)
