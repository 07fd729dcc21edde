"""A provider without an engine: a handful of local servers that come and go."""
