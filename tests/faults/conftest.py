"""Failures in the helpers of the sweep say as much as those in its tests."""

import pytest

pytest.register_assert_rewrite("faults_case")
