"""Settings that all tests of commands share."""

from tests.inside import here as here
