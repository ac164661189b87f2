"""Settings that all tests of objectives share."""

from tests.repeatable import repeatable as repeatable
