"""How many examples hypothesis tries: few while somebody waits, many before a change lands.

The environment variable `HYPOTHESIS_PROFILE` names the profile. `dev` and `ci` try the same examples in
every run, so that a failure comes from the change; `explore` looks for new ones.
"""

import os

from hypothesis import HealthCheck, settings

# Both measure the machine, and not the property.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("dev", unhurried, max_examples=20, derandomize=True)
settings.register_profile("ci", unhurried, max_examples=100, derandomize=True)
settings.register_profile("explore", unhurried, max_examples=1_000)


def load() -> None:
    """Make the profile that the environment names, else `dev`, the default of all properties."""
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


def examples(of_a_hundred: int) -> settings:
    """Settings of a property that tries `of_a_hundred` examples where others try a hundred."""
    return settings(max_examples=max(1, of_a_hundred * settings.default.max_examples // 100))
