"""`numbergroup run` on a machine whose clock is wrong: by as many seconds as the file in SKEW_FILE says now.

Only the wall clock is: no machine's monotonic clock steps, and the worker must go by that one.
"""

import os
import time
from pathlib import Path

_FILE = Path(os.environ.pop("SKEW_FILE"))
_true = time.time


def _skewed() -> float:
    return _true() + float(_FILE.read_text())


time.time = _skewed
time.time_ns = lambda: round(_skewed() * 1e9)

# Only now, so that nothing has taken the right clock with it.
from numbergroup.cli import main  # noqa: E402

if __name__ == "__main__":
    main()
