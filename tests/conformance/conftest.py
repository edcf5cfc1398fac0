"""Let pytest explain the suite's assertions as it does those of a test file."""

import pytest

pytest.register_assert_rewrite("diptych.testing.conformance")
