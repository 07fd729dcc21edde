"""Where the readers of labels write down what is wrong, in the words of whoever wrote the labels."""

from __future__ import annotations

from dataclasses import dataclass, field

from dynbalancer.errors import Problem, printable


@dataclass(frozen=True, slots=True)
class Label:
    """One label as written."""

    key: str
    value: str


@dataclass(slots=True)
class Findings:
    """The problems of one container, and notes that explain what became of it.

    ``roots`` are those problems that concern the question whether the container is meant for us at all.
    """

    container: str
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    roots: list[Problem] = field(default_factory=list)

    def label(
        self, key: str, why: str, hint: str = "", severity: str = "error", *, root: bool = False
    ) -> None:
        """One label can't be used as written."""
        where = f"container {self.container}, label {printable(key)}"
        problem = Problem(where, printable(why), printable(hint), severity)
        self.problems.append(problem)
        if root:
            self.roots.append(problem)

    def whole(self, why: str, hint: str = "", severity: str = "error") -> None:
        """Something about the container as a whole."""
        self.problems.append(
            Problem(f"container {self.container}", printable(why), printable(hint), severity)
        )

    def note(self, why: str) -> None:
        """A sentence for the container's entry on the dashboard."""
        if why not in self.notes:
            self.notes.append(why)
