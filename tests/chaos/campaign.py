"""A campaign against the node: a scanner sends studies while all that takes part is killed, cut off, filled, misled.

At the end everything that the scanner saw acknowledged is looked for, and everything derived is counted.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from tests.chaos.audit import audit
from tests.chaos.plan import Plan, Result
from tests.chaos.scene import Scene
from tests.chaos.troubles import NotNow, Trouble, kills, left_out, of_kinds, others
from tests.peers.node import ENDED
from tests.peers.process import PeerProcess, eventually

LOOK_S = 0.1


class Campaign:
    """One run of a plan below one folder."""

    def __init__(self, plan: Plan, directory: Path, say: Callable[[str], None] = print) -> None:
        self.plan, self.say = plan, say
        self.result = Result(plan)
        self.scene = Scene(plan, directory)
        self.kills, self.others = kills(self.scene), of_kinds(others(self.scene), plan.kinds)
        self._active: dict[str, tuple[float, ExitStack]] = {}  # by name: when it is over, and what ends it

    def run(self) -> Result:
        """Run the campaign and return what the audit found."""
        began = time.monotonic()
        self.result.left_out = left_out(self.scene)
        try:
            self.scene.start()
            self._trouble()
            eventually(self._all_sent, "the scanner to finish", timeout_s=600 + 2 * self.plan.studies, every_s=0.5)
            self.result.sending_s = time.monotonic() - began
            self._wait_for_the_road_to_empty()
            audit(self.scene, self.result)
        finally:
            self.scene.stop()
        self.result.wall_s = time.monotonic() - began
        return self.result

    # --- troubles, several at once

    def _trouble(self) -> None:
        rng, next_at = self.plan.rng("troubles"), time.monotonic()
        give_up_at = next_at + 600 + 4 * self.plan.between_s * sum(self._left())
        try:
            while self._left() != (0, 0) or self._active:
                assert time.monotonic() < give_up_at, f"nothing is left to harm: {self._left()}"
                self._end_those_that_are_over(time.monotonic())
                if self._left() != (0, 0) and time.monotonic() >= next_at and self._begin_one(rng):
                    next_at = time.monotonic() + rng.uniform(0, 2 * self.plan.between_s)
                self._look_after_processes()
                time.sleep(LOOK_S)
        finally:
            self._end_those_that_are_over(float("inf"))

    def _left(self) -> tuple[int, int]:
        """Return how many kills and how many other troubles are still to come."""
        begun_kills, begun_others = self._begun()
        return self.plan.kills - begun_kills, self.plan.troubles - begun_others

    def _begun(self) -> tuple[int, int]:
        return self.result.kills.total(), self.result.troubles.total()

    def _begin_one(self, rng: random.Random) -> bool:
        """Begin a trouble that is not there yet, one of those that came the least; False if none finds a victim."""
        is_kill = rng.choices([True, False], self._left())[0]
        found, counts = (self.kills, self.result.kills) if is_kill else (self.others, self.result.troubles)
        idle = [trouble for trouble in found if trouble.name not in self._active]
        order = sorted(idle, key=lambda trouble: (counts[trouble.name], rng.random()))
        return any(self._begin(trouble, counts, rng) for trouble in order)

    def _begin(self, trouble: Trouble, counts: Counter[str], rng: random.Random) -> bool:
        ending = ExitStack()
        try:
            ending.enter_context(trouble.happen(rng))
        except NotNow:
            return False
        lasts_s = self.plan.lasting * rng.uniform(*trouble.lasts_s)
        self._active[trouble.name] = time.monotonic() + lasts_s, ending
        counts[trouble.name] += 1
        number, done = sum(self._begun()), len(self.scene.scanner.acknowledged())
        self.say(f"{number}: {trouble.name} for {lasts_s:.1f} s ({done} instances acknowledged so far)")
        return True

    def _end_those_that_are_over(self, now: float) -> None:
        for name, (until, ending) in list(self._active.items()):
            if now >= until:
                del self._active[name]
                ending.close()

    def _look_after_processes(self) -> None:
        """Start again what has ended without having been killed, as the service manager does, and count it."""
        scanner = self.scene.scanner
        for name, process in self.scene.processes.items():
            if process.alive or name in self._active or (process is scanner and scanner.finished()):
                continue
            self.result.ended[name] += 1
            self.say(f"{name} ended by itself:\n{process.output()[-1500:]}")
            PeerProcess.start(process)

    # --- what comes after them

    def _all_sent(self) -> bool:
        self._look_after_processes()
        return not self.scene.scanner.alive

    def _wait_for_the_road_to_empty(self) -> None:
        wanted = {uids.study for uids in self.scene.files.values()}

        def ended() -> set[str]:
            return {uid for uid, row in self.scene.node.studies().items() if row["state"] in ENDED}

        self.result.ended_amid = len(ended())
        patience_s = 600 + 2 * self.plan.studies
        try:  # each question is a process that reads all studies
            eventually(
                lambda: wanted <= ended(),
                "every study to end",
                patience_s,
                every_s=min(max(1, self.plan.studies / 20), 10),
            )
        except TimeoutError as error:
            self.result.faults.append(str(error)[:200])
