"""What makes ``--lines`` known to dynbalancer. Nothing heavy is imported here."""

from dynbalancer.plugins import Option, ProviderMaker

lines = ProviderMaker(
    "lines",
    "dynbalancer_lines.LinesProvider",
    "Lines of a text file: a host name and the URL of its server.",
    (Option("filename", "routes.txt", "The file to read."),),
)
