"""What ships for the tests of applications: given/when/then, and an application run in process."""

from diptych.testing.projecting import Projecting, projecting
from diptych.testing.reacting import Reacting, reacting
from diptych.testing.running import in_process
from diptych.testing.scenario import Acted, Scenario, scenario

__all__ = ["Acted", "Projecting", "Reacting", "Scenario", "in_process", "projecting", "reacting", "scenario"]
