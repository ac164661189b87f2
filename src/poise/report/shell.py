"""What every HTML page of poise is built of: its own styles and scripts, and leave for no more."""

import base64
import hashlib
from functools import cache
from pathlib import Path

import orjson
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from poise import __version__
from poise.doctor.finding import Finding
from poise.report import plain

ASSETS = Path(__file__).parent / "assets"
EVIDENCE = 3
"""Facts of a finding that are shown at once; the further ones unfold."""


def page(template: str, data: object, **parts: object) -> str:
    """One HTML file that opens offline: a template of the assets, filled.

    The page holds its styles, scripts and data, allows exactly these by the hash of each, and may
    load nothing else. Everything that is filled in is text, never markup.

    Args:
        template: File name in the assets.
        data: What the charts draw, JSON-ready.
        parts: What the template asks for.
    """
    styles = [_asset("uPlot.min.css"), _asset("style.css")]
    scripts = [_asset("uPlot.iife.min.js"), _script()]
    return _template(template).render(
        version=__version__,
        policy=_policy(styles, scripts),
        styles=[Markup(one) for one in styles],
        scripts=[Markup(one) for one in scripts],
        licence=Markup(_asset("uPlot.LICENSE")),
        data=Markup(embedded(data)),
        **parts,
    )


def embedded(data: object) -> str:
    r"""JSON that can stand inside a script element of any page.

    Example:
        >>> embedded({"name": "</script>&"})
        '{"name":"\\u003c/script\\u003e\\u0026"}'
    """
    text = orjson.dumps(data).decode()
    for one in "<>&\u2028\u2029":
        text = text.replace(one, f"\\u{ord(one):04x}")
    return text


def told(one: Finding) -> dict[str, object]:
    """What a page says of a finding, as the templates take it."""
    facts = [plain.prose(fact.text, one) for fact in one.evidence]
    return {
        "severity": one.severity.value,
        "fault": one.fault.value,
        "rule": one.rule,
        "summary": plain.prose(one.summary, one),
        "evidence": facts[:EVIDENCE],
        "further": facts[EVIDENCE:],
        "cause": plain.prose(one.cause, one),
        "action": plain.prose(one.action, one),
        "verify_is_code": plain.is_code(one.verify),
        "verify": "\n".join(plain.lines(one.verify)),
    }


def _policy(styles: list[str], scripts: list[str]) -> str:
    """Content security policy: nothing from anywhere, and inline only what poise wrote."""
    return (
        f"default-src 'none'; script-src {_hashes(scripts)}; style-src {_hashes(styles)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _hashes(texts: list[str]) -> str:
    digests = (hashlib.sha256(one.encode()).digest() for one in texts)
    return " ".join(f"'sha256-{base64.b64encode(one).decode()}'" for one in digests)


@cache
def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8").strip()


@cache
def _script() -> str:
    """The page's own script: its parts see each other and nothing outside sees them."""
    parts = "\n".join(_asset(name) for name in ("common.js", "panel.js", "report.js"))
    return f'"use strict";\n(() => {{\n{parts}\n}})();'


@cache
def _template(name: str) -> Template:
    environment = Environment(
        loader=FileSystemLoader(ASSETS),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)
