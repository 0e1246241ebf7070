"""Carries the cases of a sweep out, side by side."""

import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Self

from chaos_case import Case, NotReached, Run
from chaos_scenario import LATENCY_MS, PARTITIONS, REFUSED_NUMBER
from chaos_servers import LAUNCHER, Customer, Database, Databases, Launcher, SharedRabbit, vendor
from e2e_rabbit import RabbitStage
from e2e_stage import Stage, Vendor

SIDE_BY_SIDE = 14
TRIES = 5


class Sweep:
    """`cases` begin at once; `outcome` raises what was wrong with one of them."""

    def __init__(self, folder: Path, cases: Sequence[Case]) -> None:
        self._folder = folder
        self._cases = cases
        self._numbers = count()
        self._outcomes: dict[Case, Future[dict[str, Counter[str]]]] = {}

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            self._vendor: Vendor = opened.enter_context(vendor(self._folder))
            for group, ms in LATENCY_MS.items():
                self._vendor.fault("latency", ms=ms, groupId=group)
            self._vendor.fault("refuse_numbers", numbers=[REFUSED_NUMBER])
            self._databases = Databases(self._folder)
            opened.callback(self._databases.end)
            self._launcher = Launcher(LAUNCHER)
            opened.callback(self._launcher.end)
            self._rabbit: SharedRabbit | None = None
            if any(case.broker == "amqp" for case in self._cases):
                self._rabbit = SharedRabbit(self._folder)
                opened.callback(self._rabbit.kill)
            pool = ThreadPoolExecutor(SIDE_BY_SIDE)
            opened.callback(pool.shutdown, cancel_futures=True)
            self._outcomes = {case: pool.submit(self._carry_out, case) for case in self._cases}
            self._opened = opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def outcome(self, case: Case) -> dict[str, Counter[str]]:
        """How often each point was reached in each step."""
        return self._outcomes[case].result()

    def _carry_out(self, case: Case) -> dict[str, Counter[str]]:
        """Carry the case out, and again where the test was too slow: the vendor answers within a second, and
        the worker may be past the point when it is armed, or told to stop."""
        for _ in range(TRIES - 1):
            try:
                return self._try(case)
            except NotReached:
                continue
        return self._try(case)

    def _try(self, case: Case) -> dict[str, Counter[str]]:
        number = next(self._numbers)
        folder = self._folder / f"case{number}"
        folder.mkdir()
        stage = self._stage(case, folder, number)
        began = time.monotonic()
        try:
            run = Run(case, stage, self._launcher)
            run.carry_out()
        except BaseException as error:
            error.add_note(f"{case}, in {folder}")
            raise
        finally:
            stage.end()
            (folder / "seconds").write_text(f"{time.monotonic() - began:.1f} {case}\n")
        return run.hits

    def _stage(self, case: Case, folder: Path, number: int) -> Stage:
        customer, database = Customer(self._vendor, number), Database(self._databases, number)
        if self._rabbit is None or case.broker == "redis":
            stage = Stage(folder, customer, database)
        else:
            stage = RabbitStage(folder, customer, database, self._rabbit)
        stage.settings |= {
            "ACCOUNTS__DEFAULT__ACCESS_KEY": customer.key,
            "ACCOUNTS__DEFAULT__TIMEOUT_S": "1.5",
            "PARTITIONS": str(PARTITIONS),
        }
        return stage
