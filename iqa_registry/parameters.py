r"""Parameter strings (``ssim:dimensions=3,window=7``) and their check against a factory's typed signature.

The grammar::

    reference = NAME [":" part {"," part}]
    part      = KEY "=" value | value            a value without a key is the parameter ``path``
    value     = element {"+" element}            a list
    element   = text | "[" anything "]"

Text in brackets may hold any character: commas, ``+``, ``=``, spaces, further references. Brackets nest, as in
``mine:finder=[other:path=[/data/a,b],fold=0]``, where the value of ``finder`` is a reference itself. Write ``\[`` or
``\]`` for a bracket without its counterpart, and ``\\`` for a backslash in brackets; outside brackets a backslash is an
ordinary character. An empty text is ``[]``, an empty list ``+``.
"""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from iqa_registry.errors import ParameterError, SpecError, UsageError, nearest

if TYPE_CHECKING:
    from pydantic import BaseModel

INJECTED = ("registry", "spec")
"""Arguments of a factory that the registry fills in; they are no parameters."""


class Quoted(str):
    """Text that was written in brackets: an element of its own, which ``+`` does not divide."""


def parse_reference(text: str) -> tuple[str, dict[str, Any]]:
    """Split ``"name:key=value,key=value"`` into the name and its parameters, all still text.

    A part without ``=`` is the parameter ``path``, so that ``nirps:/data/nirps`` works. Lists are joined by ``+`` and
    split later, where the type of the parameter is known; only a list with text in brackets is a list already.

    Raises:
        UsageError: nothing before the colon, an empty part, a parameter given twice, or a bracket without its
            counterpart.

    Example:
        >>> parse_reference("mine:levels=1+2,finder=[other:path=/data/a,fold=0]")
        ('mine', {'levels': '1+2', 'finder': 'other:path=/data/a,fold=0'})
    """
    name, colon, rest = text.strip().partition(":")
    if not name or (colon and not rest):
        raise UsageError(f"{text!r}: expected NAME or NAME:KEY=VALUE,KEY=VALUE.")
    parameters: dict[str, Any] = {}
    for part in _split(rest, ",") if rest else []:
        key, equals, value = part.partition("=")
        if not equals or any(sign in key for sign in "/\\["):
            key, value = "path", part
        key = key.strip()
        if not key or not value.strip():
            raise UsageError(f"{text!r}: {part!r} is not KEY=VALUE.")
        if key in parameters:
            raise UsageError(f"{text!r}: {key} is given twice.")
        parameters[key] = _value(value)
    return name, parameters


def format_reference(name: str, parameters: Mapping[str, Any]) -> str:
    """The inverse of :func:`parse_reference`, for values of any type that a parameter can have.

    A parameter that is ``None`` is not set and left out.

    Example:
        >>> format_reference("mine", {"levels": [1, 2], "width": 16})
        'mine:levels=1+2,width=16'
        >>> format_reference("mine", {"finder": format_reference("other", {"path": "/data/a,b", "fold": 0})})
        'mine:finder=[other:path=[/data/a,b],fold=0]'
    """
    given = [f"{key}={format_value(value)}" for key, value in parameters.items() if value is not None]
    return f"{name}:{','.join(given)}" if given else name


def format_value(value: Any) -> str:
    """A parameter's value as it is typed on the command line; ``none`` for one that is not set.

    Example:
        >>> format_value(True), format_value((2, 3)), format_value("/data/a,b"), format_value(None)
        ('true', '2+3', '[/data/a,b]', 'none')
    """
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value, key=str) if isinstance(value, set | frozenset) else value
        return "+".join(_element(item, "+,[]") for item in items) or "+"
    return _element(value, ",[]")


def _element(value: Any, special: str) -> str:
    if value is None or isinstance(value, bool):
        return str(value).lower()
    text = str(value.value if isinstance(value, Enum) else value)
    plain = text == text.strip() != "" and not any(sign in text for sign in special)
    return text if plain and not isinstance(value, Quoted) else f"[{_escape(text)}]"


def _split(text: str, separator: str) -> list[str]:
    """The parts between separators, those in brackets aside. A bracket counts where a value or an element begins."""
    parts, begin, at, fresh = [], 0, 0, True
    while at < len(text):
        sign = text[at]
        if sign == "[" and fresh:
            at = _closing(text, at)
        elif sign == separator:
            parts.append(text[begin:at])
            begin = at + 1
        fresh = sign in ",=+" or (fresh and sign.isspace())
        at += 1
    return [*parts, text[begin:]]


def _value(text: str) -> str | list[str]:
    elements = [item.strip() for item in _split(text, "+")]
    if not any(item.startswith("[") for item in elements):
        return text.strip()
    found = []
    for item in elements:
        if item.startswith("[") and _closing(item, 0) != len(item) - 1:
            raise UsageError(
                f"{text.strip()!r}: {item!r} goes on after its bracket. Put all of it in brackets."
            )
        found.append(Quoted(_unescape(item[1:-1])) if item.startswith("[") else item)
    return found[0] if len(found) == 1 else found


def _closing(text: str, at: int) -> int:
    """Where the bracket that opens at ``at`` is closed."""
    depth, begin = 0, at
    while at < len(text):
        if _is_escape(text, at):
            at += 2
            continue
        depth += (text[at] == "[") - (text[at] == "]")
        if depth == 0:
            return at
        at += 1
    raise UsageError(
        f"{text[begin:]!r}: the bracket is not closed. Add ] or write \\[ for the character itself."
    )


def _is_escape(text: str, at: int) -> bool:
    return text[at] == "\\" and at + 1 < len(text) and text[at + 1] in "[]\\"


def _unescape(text: str) -> str:
    """What was meant by the text between two brackets; inner brackets are kept for the reference that they are in."""
    parts, at = [], 0
    while at < len(text):
        end = at + 1
        if _is_escape(text, at):
            at, end = at + 1, at + 2
        elif text[at] == "[":
            end = _closing(text, at) + 1
        parts.append(text[at:end])
        at = end
    return "".join(parts)


def _escape(text: str) -> str:
    """The inverse of :func:`_unescape`: brackets in pairs stay as they are."""
    parts, at = [], 0
    while at < len(text):
        end = at + 1
        if text[at] == "[" and (pair := _pair(text, at)):
            end = pair + 1
        elif text[at] in "[]\\":
            parts.append("\\")
        parts.append(text[at:end])
        at = end
    return "".join(parts)


def _pair(text: str, at: int) -> int | None:
    try:
        return _closing(text, at)
    except UsageError:
        return None


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
    check_names(name, fields, given)
    values = {key: _from_text(value, fields[key].annotation) for key, value in given.items()}
    try:
        validated = model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "parameters"
        got = f", got {first['input']!r}" if first["loc"] and first["loc"][0] in given else ""
        raise ParameterError(f"{name}: {place}: {first['msg']}{got}.") from None
    return {key: getattr(validated, key) for key in fields}


def check_names(name: str, known: Iterable[str], given: Iterable[str]) -> None:
    """Raise :class:`ParameterError` for the first parameter that ``name`` does not have; the nearest is offered."""
    names = sorted(known)
    for key in given:
        if key not in names:
            has = f" It has {', '.join(names)}." if names else " It has none."
            raise ParameterError(f"{name} has no parameter {key!r}.{nearest(key, names)}{has}")


def _from_text(value: Any, annotation: Any) -> Any:
    """Lists are joined by ``+``; choices such as ``Literal[2, 3]`` go by their text; pydantic does the rest."""
    choices = {format_value(choice): choice for choice in _choices(annotation)}
    if _is_sequence(annotation) and isinstance(value, str):
        value = [value] if isinstance(value, Quoted) else [] if value == "+" else value.split("+")
    if isinstance(value, list):
        return [_plain(choices, item) for item in value]
    return _plain(choices, value)


def _plain(choices: Mapping[str, Any], value: Any) -> Any:
    """A choice for its text, and plain text for text in brackets."""
    if not isinstance(value, str):
        return value
    return choices.get(str(value), str(value))


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
