"""What ships for the tests of applications: given/when/then, and an application run in process."""

from diptych.testing.projecting import Projecting, projecting
from diptych.testing.running import in_process
from diptych.testing.scenario import scenario

__all__ = ["Projecting", "in_process", "projecting", "scenario"]
