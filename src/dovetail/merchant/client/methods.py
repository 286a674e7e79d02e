"""Descriptions of calls as methods of the clients, with the same parameters and words."""

import inspect
from collections.abc import Callable
from typing import Any, TypeVar, get_args

F = TypeVar("F", bound=Callable[..., Any])


def shown_as(describe: Callable[..., Any], method: F, wrapper: Any = None) -> F:
    """Let a method of a client show the parameters and words of a description.

    Its result is the answer of the call, or the `wrapper` of an answer's own parts, such as an
    iterator over the entries of a page.
    """
    told = inspect.signature(describe)
    (answer,) = get_args(told.return_annotation)
    result = answer if wrapper is None else wrapper[get_args(answer)[0]]
    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    parameters = [own, *told.parameters.values()]
    method.__name__ = describe.__name__
    method.__doc__ = describe.__doc__
    vars(method)["__wrapped__"] = describe
    vars(method)["__signature__"] = told.replace(parameters=parameters, return_annotation=result)
    return method
