"""What a run leaves on disk: its folder, its checkpoints, and a table of many runs."""
