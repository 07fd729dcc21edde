"""Deciding: pure code, without sockets, files, clocks or logging."""
