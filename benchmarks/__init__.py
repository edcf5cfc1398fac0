"""Measure Diptych beside the other side, in one run, alternating, as ratios with their spread."""
