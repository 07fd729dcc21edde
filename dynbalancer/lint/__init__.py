"""Checks of files before they are used: dynamic files and compose files."""
