"""Settings that all tests of reductions share."""

from tests.repeatable import repeatable as repeatable
