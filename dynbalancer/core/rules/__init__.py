"""The rule language: one tree, read from the spelling of Traefik v1, v2 or v3."""
