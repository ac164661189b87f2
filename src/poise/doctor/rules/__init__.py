"""The catalogue of rules, written out."""

from poise.doctor.rule import Rule

RULES: tuple[Rule, ...] = ()
