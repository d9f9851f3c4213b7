"""Charts: an incident's expression as a picture, drawn by a process of its own, so that the service stays small.

`picture` decides what is drawn and starts that process; `draw` is the process, the only one that needs Matplotlib.
"""
