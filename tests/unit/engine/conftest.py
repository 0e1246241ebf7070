"""Properties may take their time on a busy machine: what they promise is not speed."""

from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
