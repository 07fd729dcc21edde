"""The control plane: merges what providers say into a table and looks after the workers."""
