"""YAML texts that people write: read, or refused in a few words, whatever stands in them."""

from __future__ import annotations

from typing import Any

import yaml


class YamlTextError(ValueError):
    """The text is no YAML that can be read; the message says why, on one line."""


def loaded(text: str, loader: type[yaml.SafeLoader] = yaml.SafeLoader) -> Any:
    """What a text says. YamlTextError also for what PyYAML itself trips over.

    That is a date such as 2026-13-45, a number of too many digits, or nesting deeper than Python goes.
    """
    try:
        return yaml.load(text, loader)  # noqa: S506  # a SafeLoader
    except yaml.MarkedYAMLError as error:
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise YamlTextError(f"{_one_line(str(error.problem or error.context))}{line}") from error
    except yaml.YAMLError as error:
        raise YamlTextError(_one_line(str(error))) from error
    except RecursionError:
        raise YamlTextError("it is nested too deeply") from None
    except (ValueError, OverflowError, LookupError, TypeError, AttributeError) as error:
        raise YamlTextError(f"a value in it cannot be read: {_one_line(str(error))}") from error


def _one_line(text: str) -> str:
    return " ".join(text.split())[:200]
