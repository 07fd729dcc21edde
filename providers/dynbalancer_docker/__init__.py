"""Routes to the containers of a Docker engine, by their labels."""
