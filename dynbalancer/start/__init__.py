"""What a start needs: settings from flags, environment and file; ports, logs, signals, the banner."""
