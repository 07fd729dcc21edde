"""Routes from YAML or TOML files."""
