"""Every target there is, by name."""

from importlib import import_module

from tests.fuzz.target import Target

MODULES = (
    *("bitcoin", "wire", "sending", "receiving", "replaying"),
    *("edges", "servers", "mailrooms", "verifying", "takeovers"),
)
TARGETS: dict[str, Target] = {
    target.name: target
    for module in MODULES
    for target in import_module(f"tests.fuzz.targets.{module}").TARGETS
}
