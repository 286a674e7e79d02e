"""Names of a package that load on first use (PEP 562), so that importing it is cheap."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module


def on_first_use(
    package: str, homes: Mapping[str, str], *, extra: str | None = None
) -> Callable[[str], object]:
    """Return a `__getattr__` for `package` that imports each name from its module in `homes`.

    `homes` maps a module to its names, separated by blanks. The module itself is found too; no
    name may equal a module's. Repeat the names as imports under `TYPE_CHECKING`. `extra` is the
    extra with the packages that some names need: a `ModuleNotFoundError` names it.
    """
    modules = {name: module for module, names in homes.items() for name in names.split()}
    namespace = sys.modules[package].__dict__

    def find(name: str) -> object:
        if extra is None:
            return load(name)
        from dovetail.extras import brought_by  # noqa: PLC0415 - the core never needs it

        with brought_by(extra, f"{package}.{name}"):
            return load(name)

    def load(name: str) -> object:
        module = modules.get(name)
        if module is not None:
            value = getattr(import_module(f"{package}.{module}"), name)
        elif name in homes:
            value = import_module(f"{package}.{name}")
        else:
            message = f"module '{package}' has no attribute '{name}'"
            raise AttributeError(message, name=name)
        namespace[name] = value
        return value

    namespace.setdefault("__all__", sorted(modules))
    namespace["__dir__"] = lambda: sorted({*namespace, *modules})
    return find
