"""Every target there is, by name."""

from tests.fuzz.target import Target
from tests.fuzz.targets import (
    bitcoin,
    edges,
    mailrooms,
    receiving,
    replaying,
    sending,
    servers,
    takeovers,
    verifying,
    wire,
)

MODULES = (
    bitcoin,
    wire,
    sending,
    receiving,
    replaying,
    edges,
    servers,
    mailrooms,
    verifying,
    takeovers,
)
TARGETS: dict[str, Target] = {
    target.name: target for module in MODULES for target in module.TARGETS
}
