"""What can be learned: one file a task."""
