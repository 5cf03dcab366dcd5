"""How the exports' templates become text."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from compose.credentials import ACL, PASSWORD, TOKEN, USER, acl
from compose.export.service import REDIS_PORT, Service
from scenarios.contract import OUR_APP

_TEMPLATES: Final = Path(__file__).with_name("templates")
_MOST_TO_LEAST: Final = 4  # replicas: how far autoscaling may go


def render(template: str, service: Service, **facts: object) -> str:
    """Return a template's text; a fact that it asks for and is not given is a `jinja2.UndefinedError`.

    All templates have the service, ports, and the names and rules of the secrets.
    """
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(
        service=service,
        most_replicas=service.replicas * _MOST_TO_LEAST,
        our_app=OUR_APP,
        redis_port=REDIS_PORT,
        user=USER,
        password_file=PASSWORD,
        acl_file=ACL,
        token_file=TOKEN,
        acl=acl("$digest"),
        **facts,
    )
