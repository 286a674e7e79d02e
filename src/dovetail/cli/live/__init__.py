"""Sessions under way: loaded while the chain is asked (ADR 0048)."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dovetail.cli.live import agent as agent
    from dovetail.cli.live import follow as follow
    from dovetail.cli.live import follow_all as follow_all
    from dovetail.cli.live import preview as preview
else:
    from dovetail.names import on_first_use

    __getattr__ = on_first_use(
        __name__, dict.fromkeys(("agent", "follow", "follow_all", "preview"), "")
    )
