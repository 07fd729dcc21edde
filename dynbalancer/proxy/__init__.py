"""The data plane: accepts connections, consults the routing table, forwards."""
