"""What every HTML page is built of."""

import json
from dataclasses import replace

import pytest
from jinja2 import TemplateNotFound, UndefinedError

from poise.report.shell import EVIDENCE, embedded, page, told
from tests.report.builders import finding


def test_embedded_json_is_the_same_json() -> None:
    """Escapes change the text, not the value."""
    value = {"a": ["</script>", 1.5, None, "\u2028&"]}
    text = embedded(value)
    assert json.loads(text) == value
    assert not set(text) & set("<>&\u2028")


def test_a_part_that_is_missing_is_an_error() -> None:
    """A template never shows a hole."""
    with pytest.raises(UndefinedError, match="is undefined"):
        page("comparison.html", {}, title="t")
    with pytest.raises(TemplateNotFound, match=r"none\.html"):
        page("none.html", {})


def test_a_finding_is_told_with_its_first_facts() -> None:
    """The further ones unfold; none is lost or told twice."""
    one = finding()
    many = replace(one, evidence=one.evidence[:1] * (EVIDENCE + 2))
    found = told(many)
    assert (len(found["evidence"]), len(found["further"])) == (EVIDENCE, 2)
    assert (found["rule"], found["severity"]) == (one.rule, one.severity.value)
    assert told(replace(one, evidence=one.evidence[:1]))["further"] == []
