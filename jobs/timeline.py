"""How a launch spent its time: phases with a beginning and an end."""

import contextlib
from collections.abc import Iterator

from jobs.events import Listener, PhaseDone
from jobs.ports import Clock


class Phase:
    """A phase that goes on. ``good`` may be taken back before its end."""

    def __init__(self, name: str) -> None:
        """Take its name."""
        self.name = name
        self.good = True


class Timeline:
    """The phases of one launch."""

    def __init__(self, clock: Clock, tell: Listener) -> None:
        """Begin now."""
        self._clock, self._tell = clock, tell
        self._began = self._phase_began = clock.now()
        self.phases: list[PhaseDone] = []

    @property
    def elapsed(self) -> float:
        """Seconds since the launch began."""
        return self._clock.now() - self._began

    @property
    def spent(self) -> float:
        """Seconds since the phase began."""
        return self._clock.now() - self._phase_began

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[Phase]:
        """Measure what happens inside."""
        self._phase_began = self._clock.now()
        phase = Phase(name)
        try:
            yield phase
        except BaseException:
            phase.good = False
            raise
        finally:
            done = PhaseDone(name, self.spent, phase.good)
            self.phases.append(done)
            self._tell(done)
