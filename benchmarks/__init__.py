"""Measure Diptych beside the other side, in one run, alternating, as ratios with their spread."""

import os
import sys
from pathlib import Path

# Orders is an example, and installed nowhere: it is found in the tree, by the processes started from here too.
_ROOT = Path(__file__).parents[1]
_IN_TREE = [str(_ROOT / "src"), str(_ROOT / "examples")]
sys.path[:0] = _IN_TREE
os.environ["PYTHONPATH"] = os.pathsep.join([*_IN_TREE, *filter(None, [os.environ.get("PYTHONPATH")])])
