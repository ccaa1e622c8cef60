"""Launchers: how the processes of a run are started. One file each, behind one interface."""
