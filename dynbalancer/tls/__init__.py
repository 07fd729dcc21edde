"""TLS towards clients: certificates by server name, tickets that every worker takes."""
