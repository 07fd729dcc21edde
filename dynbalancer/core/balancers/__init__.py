"""Balancing strategies: in which order servers are asked. Which of them may be asked is the caller's to know."""
