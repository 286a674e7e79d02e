"""What `docs/reference/stability.md` calls public: modules, and names of modules."""

import re
from importlib import import_module

from tests.guides.pages import ROOT
from tools.docs.api_source import exported

_MODULE = r"`(dovetail(?:\.\w+)*)`"
_SOME = re.compile(rf"((?:`\w+`(?:, | and |, and )?)+) of {_MODULE}")


def stable() -> dict[str, frozenset[str]]:
    """The public names of each module that the page names, be it with all of them."""
    text = " ".join((ROOT / "docs/reference/stability.md").read_text().split())
    found: dict[str, frozenset[str]] = {}
    for listed, module in _SOME.findall(text):
        found[module] = found.get(module, frozenset()) | frozenset(re.findall(r"`(\w+)`", listed))
    for module in re.findall(_MODULE, _SOME.sub("", text)):
        found[module] = frozenset(exported(import_module(module)))
    return found
