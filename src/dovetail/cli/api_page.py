"""`docs/reference/api.md`, from the signatures and docstrings of what is public."""

import ast
import dataclasses
import enum
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from importlib import import_module
from types import UnionType
from typing import Union, get_args, get_origin

from msgspec import Struct

PUBLIC: dict[str, str] = {
    "dovetail": "",
    "dovetail.endpoint": "",
    "dovetail.wallets.bdk": "BdkWallet",
    "dovetail.wallets.esplora": "EsploraChain",
    "dovetail.wallets.ports": (
        "Wallet SweepingWallet Chain Balance Spend Payment Output Accepted Refused Unknown"
    ),
    "dovetail.stores.sql": "SqlStore",
    "dovetail.sessions.receiver": "create create_v1 replay apply encode_event decode_event",
    "dovetail.sessions.sender": "create create_plain replay apply encode_event decode_event",
    "dovetail.sessions.transition": "Transition",
    "dovetail.crypto": "KeyConfig SecretKey",
    "dovetail.regtest": "RegtestServer",
    "dovetail.mailroom": "MailroomServer",
}
"""Each module and the names that its section has; all that it exports where none are given."""

_HEAD = """\
# The library

<!-- Written by `python -m dovetail.cli.reference`; edit the docstrings instead. -->

Names as they are imported. The states of a session and their events are in
[states and events](states.md); [what is stable](stability.md) says what to rely on.
"""


def page() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *(_module(name, names) for name, names in PUBLIC.items())])


def _module(module: str, names: str) -> str:
    home = import_module(module)
    chosen = names.split() or sorted(home.__all__)
    parts = "\n".join(_entry(name, getattr(home, name)) for name in chosen)
    return f"## `{module}`\n\n{parts}"


def _entry(name: str, named: object) -> str:
    """A name of a module: a class with its methods, or a function; of a union what is in it."""
    value = get_origin(named) or named
    if value in (Union, UnionType):
        one_of = ", ".join(f"`{each.__name__}`" for each in get_args(named))
        return f"### `{name}`\n\nOne of {one_of}.\n"
    parts = [f"### `{name}{_signature(value)}`", " ".join(_words(value))]
    if inspect.isclass(value) and not issubclass(value, enum.Enum):
        methods = [
            f"- `{each}{_signature(method)}`: {' '.join(_words(method))}"
            for each, method in _methods(value)
        ]
        parts += ["\n".join(methods)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _methods(kind: type) -> Iterator[tuple[str, object]]:
    """What a class defines by itself, without what its fields are."""
    fields = _made_of(kind)
    for name, value in vars(kind).items():
        bare: object = getattr(value, "__func__", value)
        shown = inspect.isfunction(bare) or isinstance(bare, property)
        if shown and not name.startswith("_") and name not in fields and inspect.getdoc(bare):
            yield name, bare


def _made_of(kind: type) -> tuple[str, ...]:
    """The names of the fields that a dataclass or a struct is made with."""
    if dataclasses.is_dataclass(kind):
        return tuple(field.name for field in dataclasses.fields(kind) if field.init)
    if issubclass(kind, Struct) and kind is not Struct:
        return kind.__struct_fields__
    return ()


def _signature(value: object) -> str:
    """Parameters as the source writes them, without `self`; nothing of what is not called."""
    if inspect.isfunction(value):
        return _of_function(value)
    if not inspect.isclass(value) or issubclass(value, enum.Enum) or _is_protocol(value):
        return ""
    if _made_of(value):
        return f"({', '.join(_fields(value))})"
    made = vars(value).get("__init__") or vars(value).get("__new__")
    return _of_function(made).split(" -> ")[0] if inspect.isfunction(made) else ""


def _of_function(function: Callable[..., object]) -> str:
    (node,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return ""
    arguments = node.args
    first = (arguments.posonlyargs or arguments.args)[:1]
    if first and first[0].arg in ("self", "cls"):
        (arguments.posonlyargs or arguments.args).pop(0)
    result = f" -> {ast.unparse(node.returns)}" if node.returns is not None else ""
    return f"({ast.unparse(arguments)}){result}".replace("'", "")


def _fields(kind: type) -> Iterator[str]:
    """Each field as its own source writes it, or that of a base."""
    written: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        if _made_of(each):
            (node,) = ast.parse(textwrap.dedent(inspect.getsource(each))).body
            for line in getattr(node, "body", ()):
                if isinstance(line, ast.AnnAssign):
                    written[ast.unparse(line.target)] = ast.unparse(line)
    return (written.get(name, name) for name in _made_of(kind))


def _is_protocol(kind: type) -> bool:
    return bool(getattr(kind, "_is_protocol", False))


def _words(value: object) -> list[str]:
    """The first paragraph, and the one that says what is raised."""
    doc = inspect.getdoc(value) or ""
    if inspect.isclass(value) and doc.startswith(f"{value.__name__}("):
        return []  # what `dataclass` writes by itself
    first, *rest = [" ".join(part.split()) for part in doc.split("\n\n")]
    sentences = [each for part in rest for each in re.split(r"(?<=\.) (?=[A-Z])", part)]
    return [first, *(each for each in sentences if each.startswith("Raises "))]
