"""From the labels of containers to a Configuration, with a Problem for each label that can't be used."""
