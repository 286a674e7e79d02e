"""Sessions in words: the state of each, the meaning of its events, and a person's next steps.

The texts name no address, no key and no command: a command line spells the actions as commands, a
page as buttons.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dovetail.explain.chain import describe_sighting as describe_sighting
    from dovetail.explain.event import meaning as meaning
    from dovetail.explain.explanation import Deadline as Deadline
    from dovetail.explain.explanation import DeadlineKind as DeadlineKind
    from dovetail.explain.explanation import Explanation as Explanation
    from dovetail.explain.session import explain as explain
    from dovetail.explain.session import explain_row as explain_row
    from dovetail.explain.session import explain_stored as explain_stored
else:
    from dovetail.names import on_first_use

    __getattr__ = on_first_use(
        __name__,
        {
            "chain": "describe_sighting",
            "event": "meaning",
            "explanation": "Deadline DeadlineKind Explanation",
            "session": "explain explain_row explain_stored",
        },
    )
