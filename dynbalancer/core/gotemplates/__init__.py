"""Go's text templates, with those of sprig's functions that depend on nothing outside: texts, lists, maps, numbers.

:mod:`.lexing` cuts a template into texts and tokens, :mod:`.parsing` makes a tree of :mod:`.nodes`, and these say what
they are worth. :mod:`.functions` is the table of what a template can call; :mod:`dynbalancer.core.template` is the way
in.
"""
