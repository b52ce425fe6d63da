"""Parameter strings (``ssim:dimensions=3,window=7``) and their check against a factory's typed signature."""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from iqa_registry.errors import ParameterError, SpecError, UsageError, nearest

if TYPE_CHECKING:
    from pydantic import BaseModel

INJECTED = ("registry", "spec")
"""Arguments of a factory that the registry fills in; they are no parameters."""


def parse_reference(text: str) -> tuple[str, dict[str, Any]]:
    """Split ``"name:key=value,key=value"`` into the name and its parameters, all still text.

    A part without ``=`` is the parameter ``path``, so that ``nirps:/data/nirps`` works. Lists are joined by
    ``+`` and split later, where the type of the parameter is known.

    Raises:
        UsageError: nothing before the colon, an empty part, or a parameter given twice.

    Example:
        >>> parse_reference("kcross:branches=complex+tumor,width=16")
        ('kcross', {'branches': 'complex+tumor', 'width': '16'})
    """
    name, colon, rest = text.strip().partition(":")
    if not name or (colon and not rest):
        raise UsageError(f"{text!r}: expected NAME or NAME:KEY=VALUE,KEY=VALUE.")
    parameters: dict[str, Any] = {}
    for part in rest.split(",") if rest else []:
        key, equals, value = part.partition("=")
        if not equals or "/" in key or "\\" in key:
            key, value = "path", part
        key = key.strip()
        if not key or not value.strip():
            raise UsageError(f"{text!r}: {part!r} is not KEY=VALUE.")
        if key in parameters:
            raise UsageError(f"{text!r}: {key} is given twice.")
        parameters[key] = value.strip()
    return name, parameters


def format_reference(name: str, parameters: Mapping[str, Any]) -> str:
    """The inverse of :func:`parse_reference`.

    Example:
        >>> format_reference("kcross", {"branches": ["complex", "tumor"], "width": 16})
        'kcross:branches=complex+tumor,width=16'
    """
    if not parameters:
        return name
    return f"{name}:" + ",".join(f"{key}={_text(value)}" for key, value in parameters.items())


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "+".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def parameter_model(factory: Callable[..., Any], explicit: type[BaseModel] | None = None) -> type[BaseModel]:
    """The pydantic model of a factory's parameters, taken from its signature unless one is given.

    Raises:
        SpecError: the signature takes ``*args`` or ``**kwargs``, or a parameter has no type.
    """
    from pydantic import ConfigDict, create_model

    if explicit is not None:
        return explicit
    chosen = {
        name: item for name, item in inspect.signature(factory).parameters.items() if name not in INJECTED
    }
    for name, item in chosen.items():
        if item.kind in (item.VAR_POSITIONAL, item.VAR_KEYWORD) or item.annotation is item.empty:
            raise SpecError(
                f"{factory.__qualname__}: parameter {name!r} must be a single one and have a type."
            )
    holder = SimpleNamespace(__annotations__={name: item.annotation for name, item in chosen.items()})
    scope = _scope(factory)
    hints = typing.get_type_hints(holder, globalns=scope, include_extras=True)
    definitions: dict[str, Any] = {
        name: (hints[name], ... if item.default is item.empty else item.default)
        for name, item in chosen.items()
    }
    config = ConfigDict(extra="forbid", arbitrary_types_allowed=True, protected_namespaces=())
    return create_model(f"{factory.__name__}Parameters", __config__=config, **definitions)


def _scope(factory: Callable[..., Any]) -> dict[str, Any]:
    """The names that the signature's annotations were written with; a class may inherit its constructor."""
    written = inspect.unwrap(factory.__init__ if inspect.isclass(factory) else factory)
    found: dict[str, Any] = getattr(written, "__globals__", None) or vars(sys.modules[factory.__module__])
    return found


def validate_parameters(name: str, model: type[BaseModel], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the full set of parameters, defaults included.

    Raises:
        ParameterError: an unknown parameter (the nearest is offered) or a value of the wrong type or range.
    """
    from pydantic import ValidationError

    fields = model.model_fields
    for key in given:
        if key not in fields:
            known = f" It has {', '.join(sorted(fields))}." if fields else " It has none."
            raise ParameterError(f"{name} has no parameter {key!r}.{nearest(key, fields)}{known}")
    values = {key: _from_text(value, fields[key].annotation) for key, value in given.items()}
    try:
        validated = model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "parameters"
        got = f", got {first['input']!r}" if first["loc"] and first["loc"][0] in given else ""
        raise ParameterError(f"{name}: {place}: {first['msg']}{got}.") from None
    return {key: getattr(validated, key) for key in fields}


def _from_text(value: Any, annotation: Any) -> Any:
    """Lists are joined by ``+``; choices such as ``Literal[2, 3]`` are told by their text; pydantic does the rest."""
    if not isinstance(value, str):
        return value
    choices = {_text(choice): choice for choice in _choices(annotation)}
    if _is_sequence(annotation):
        return [choices.get(part, part) for part in value.split("+")]
    return choices.get(value, value)


def _choices(annotation: Any) -> list[Any]:
    arguments = typing.get_args(annotation)
    if typing.get_origin(annotation) is typing.Literal:
        return list(arguments)
    return [choice for inner in arguments if inner is not annotation for choice in _choices(inner)]


def _is_sequence(annotation: Any) -> bool:
    origin = typing.get_origin(annotation)
    if origin in (list, tuple, set, frozenset):
        return True
    return any(_is_sequence(inner) for inner in typing.get_args(annotation) if inner is not annotation)
