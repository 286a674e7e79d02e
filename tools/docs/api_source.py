"""What the source says of a name: parameters, fields and docstrings, as they are written."""

import ast
import dataclasses
import enum
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import import_module
from itertools import pairwise
from types import ModuleType

from msgspec import Struct


def exported(module: ModuleType) -> tuple[str, ...]:
    """The names that a module offers: as it lists them, or all that it defines and describes."""
    listed: list[str] | None = getattr(module, "__all__", None)
    if listed is not None:
        return tuple(sorted(listed))
    defined = {
        name
        for name, value in vars(module).items()
        if getattr(value, "__module__", None) == module.__name__
        and (inspect.isclass(value) or inspect.isfunction(value))
    }
    found = defined | described_in(module.__name__).keys()
    return tuple(sorted(name for name in found if not name.startswith("_")))


def signature(value: object) -> str:
    """Parameters as the source writes them, without `self`; nothing of what is not called."""
    if inspect.isfunction(value):
        return _of_function(value)
    if not inspect.isclass(value) or issubclass(value, enum.Enum) or _is_protocol(value):
        return ""
    if made_of(value):
        return f"({', '.join(fields(value).values())})"
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
    if hasattr(function, "__wrapped__"):  # it has the parameters of another one, and its own result
        told = inspect.formatannotation(inspect.signature(function).return_annotation)
        result = f" -> {re.sub(r'(?:[a-z_]+[.])+', '', told)}"
    return f"({ast.unparse(arguments)}){result}".replace("'", "")


def methods(kind: type) -> Iterator[tuple[str, object]]:
    """What a class offers and describes, inherited or not, without its fields."""
    told: set[str] = set(made_of(kind))
    for each in kind.__mro__:
        if not each.__module__.startswith("dovetail."):
            continue
        for name, value in vars(each).items():
            bare: object = getattr(value, "__func__", value)
            shown = inspect.isfunction(bare) or isinstance(bare, property)
            if shown and not name.startswith("_") and name not in told:
                told.add(name)
                if inspect.getdoc(bare):
                    yield name, bare


def made_of(kind: type) -> tuple[str, ...]:
    """The names of the fields that a dataclass or a struct is made with."""
    if dataclasses.is_dataclass(kind):
        return tuple(field.name for field in dataclasses.fields(kind) if field.init)
    if issubclass(kind, Struct) and kind is not Struct:
        return kind.__struct_fields__
    return ()


def fields(kind: type) -> dict[str, str]:
    """Each field as its own source writes it, or that of a base."""
    written: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        if made_of(each):
            for line in _class_body(each):
                if isinstance(line, ast.AnnAssign):
                    written[ast.unparse(line.target)] = ast.unparse(line)
    return {name: written.get(name, name) for name in made_of(kind)}


def fields_described(kind: type) -> dict[str, str]:
    """The fields of a class that have words of their own."""
    told: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        if made_of(each):
            told |= _described(_class_body(each))
    return {name: told[name] for name in made_of(kind) if name in told}


def members_described(kind: type[enum.Enum]) -> dict[str, str]:
    """The members of an enumeration that have words of their own."""
    return _described(_class_body(kind))


def described_in(module: str) -> Mapping[str, str]:
    """The constants and aliases of a module that have words of their own."""
    return _described(_parsed(module).body)


def words_of_constant(module: str, name: str) -> str:
    """What stands below a constant or alias, in the module that defines it."""
    for node in ast.walk(_parsed(module)):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                if name in (alias.asname, alias.name):
                    return words_of_constant(node.module, alias.name)
    return described_in(module).get(name, "")


def _described(body: list[ast.stmt]) -> dict[str, str]:
    told: dict[str, str] = {}
    for line, following in pairwise(body):
        match following:
            case ast.Expr(value=ast.Constant(value=str(doc))):
                told |= {name: paragraphs(doc)[0] for name in _assigned(line)}
            case _:
                pass
    return told


def _assigned(line: ast.stmt) -> list[str]:
    match line:
        case ast.Assign(targets=targets):
            return [each.id for each in targets if isinstance(each, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
        case _:
            return []


def _class_body(kind: type) -> list[ast.stmt]:
    (node,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    return node.body if isinstance(node, ast.ClassDef) else []


@cache
def _parsed(module: str) -> ast.Module:
    return ast.parse(inspect.getsource(import_module(module)))


def _is_protocol(kind: type) -> bool:
    return bool(getattr(kind, "_is_protocol", False))


def words(value: object) -> list[str]:
    """The first paragraph, and the sentences that say what is raised."""
    doc = inspect.getdoc(value) or ""
    if inspect.isclass(value) and doc.startswith(f"{value.__name__}("):
        return []  # what `dataclass` writes by itself
    first, *rest = paragraphs(doc)
    sentences = [each for part in rest for each in re.split(r"(?<=\.) (?=[A-Z])", part)]
    return [first, *(each for each in sentences if each.startswith("Raises "))]


def paragraphs(doc: str) -> list[str]:
    """A docstring's paragraphs, each in one line."""
    return [" ".join(part.split()) for part in inspect.cleandoc(doc).split("\n\n")]
