"""What may be done to a request on its way, by family: paths, headers, redirects."""
