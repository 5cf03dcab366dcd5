"""Templates as HTML: what the report and the page of a prediction share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

TEMPLATES: Final = Path(__file__).with_name("templates")


class Part(Protocol):
    """A part of a page that is made elsewhere: styles for the page's head, and what stands in its body."""

    @property
    def style(self) -> Markup:
        """Return its styles."""

    @property
    def block(self) -> Markup:
        """Return its section."""


def rendered(template: str, content: Mapping[str, Any], *folders: Path) -> str:
    """Return a template of this folder, or of `folders`, filled in. All values are escaped.

    The template finds the style of all pages as `style`.
    """
    environment = Environment(
        loader=FileSystemLoader([*folders, TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["style"] = own(TEMPLATES / "report.css")
    return environment.get_template(template).render(content)


def part(template: str, content: Mapping[str, Any], *folders: Path) -> Markup:
    """Return a template filled in, to stand in another one."""
    return Markup(rendered(template, content, *folders))  # noqa: S704 (the template has escaped all values)


def own(path: Path) -> Markup:
    """Return a file of ours, a style or a script, that stands in a page as it is."""
    return Markup(path.read_text(encoding="utf-8"))  # noqa: S704 (our own file)
