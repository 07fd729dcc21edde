"""Local servers that come and go, to try dynbalancer without a container engine."""
