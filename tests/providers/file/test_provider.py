"""The file provider: what it publishes when files come, change, break and go. Real files, real inotify, fake time."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from dynbalancer import pem
from dynbalancer.core.model import Certificate, Configuration
from dynbalancer.testing import MemorySink, ProviderContract
from dynbalancer_file.provider import SETTLE, FileProvider, make_provider
from dynbalancer_file.watching import DEBOUNCE, POLL


def text(*names: str) -> str:
    routers = "".join(f"    {name}: {{rule: Path(`/{name}`), service: s}}\n" for name in names)
    return f"http:\n  routers:\n{routers}"


class FileProviderContract(ProviderContract, SynchronousTestCase):
    """What every provider must do."""

    def make(self, sink: MemorySink, reactor: Any) -> FileProvider:
        return make_provider({"filename": "dyn.yml"}, sink, reactor)


class FileCase(SynchronousTestCase):
    """A directory, a provider on it, and a clock."""

    def setUp(self) -> None:
        self.top = os.path.realpath(self.mktemp())
        os.mkdir(self.top)
        self.sink = MemorySink()
        self.reactor = MemoryReactorClock()

    def start(self, **settings: Any) -> FileProvider:
        provider = make_provider({"watch": True, **settings}, self.sink, self.reactor)
        provider.startService()
        self.addCleanup(lambda: provider.running and provider.stopService())
        return provider

    def start_file(self) -> FileProvider:
        return self.start(filename=self.path("dyn.yml"))

    def path(self, name: str) -> str:
        return os.path.join(self.top, name)

    def write(self, name: str, content: str) -> None:
        with open(self.path(name), "w") as file:
            file.write(content)

    def replace(self, name: str, content: str) -> None:
        self.write(f".{name}.new", content)
        os.rename(self.path(f".{name}.new"), self.path(name))

    def deliver(self) -> None:
        """What the kernel has to say reaches the provider."""
        for reader in self.reactor.getReaders():
            reader.doRead()

    def settle(self) -> None:
        """Events come in, and time enough passes for new contents to be believed."""
        self.deliver()
        self.reactor.advance(DEBOUNCE)
        self.reactor.advance(SETTLE)

    def routers(self) -> list[str]:
        return list(self.sink.last.routers)


class OneFileTests(FileCase):
    """--file.filename."""

    def test_file_is_published_at_start(self) -> None:
        self.write("dyn.yml", text("web"))
        self.start_file()
        self.assertEqual((self.routers(), self.sink.causes), (["web"], ["file dyn.yml read"]))
        self.assertEqual(self.sink.last.items[0].gave, ("web",))

    def test_rules_are_in_the_language_that_the_settings_say(self) -> None:
        self.write("dyn.yml", "http: {routers: {r: {rule: 'Host(`a.example`, `b.example`)', service: s}}}")
        self.start(filename=self.path("dyn.yml"), defaultrulesyntax="v2")
        assert self.sink.last.routers["r"].dialect == "v2"

    def test_change_is_published_once_within_a_tenth_of_a_second(self) -> None:
        self.write("dyn.yml", text("web"))
        self.start_file()
        self.write("dyn.yml", text("web", "api"))
        self.settle()
        self.assertLessEqual(DEBOUNCE + SETTLE, 0.1)
        self.assertEqual(self.routers(), ["web", "api"])
        self.assertEqual(self.sink.causes[1:], ["file dyn.yml changed"])
        self.reactor.pump([POLL, POLL])
        self.assertEqual(len(self.sink.configurations), 2)

    def test_atomic_replacement_is_seen(self) -> None:
        self.write("dyn.yml", text("web"))
        self.start_file()
        for name in ("one", "two"):
            self.replace("dyn.yml", text(name))
            self.settle()
            self.assertEqual(self.routers(), [name])

    def test_editor_that_moves_the_old_file_away_is_followed(self) -> None:
        self.write("dyn.yml", text("web"))
        self.start_file()
        os.rename(self.path("dyn.yml"), self.path("dyn.yml~"))
        self.deliver()
        self.reactor.advance(DEBOUNCE)
        self.write("dyn.yml", text("new"))
        self.settle()
        self.assertEqual([list(found.routers) for found in self.sink.configurations], [["web"], ["new"]])

    def test_config_map_swap_is_seen(self) -> None:
        for generation, name in (("..1", "web"), ("..2", "new")):
            os.mkdir(self.path(generation))
            self.write(f"{generation}/dyn.yml", text(name))
        os.symlink("..1", self.path("..data"))
        os.symlink("..data/dyn.yml", self.path("dyn.yml"))
        self.start_file()
        os.symlink("..2", self.path("..data_tmp"))
        os.rename(self.path("..data_tmp"), self.path("..data"))
        self.settle()
        self.assertEqual(self.routers(), ["new"])

    def test_truncate_and_write_never_publishes_less(self) -> None:
        """Each state on the way parses: an empty file, and one with half of the routers."""
        self.write("dyn.yml", text("web", "api"))
        self.start_file()
        with open(self.path("dyn.yml"), "w") as file:
            self.settle()
            self.reactor.advance(POLL)
            file.write(text("web"))
            file.flush()
            self.settle()
            self.reactor.advance(POLL)
            file.write(text("api", "new").removeprefix("http:\n  routers:\n"))
        self.settle()
        self.assertEqual(
            [list(found.routers) for found in self.sink.configurations],
            [["web", "api"], ["web", "api", "new"]],
        )

    def test_truncate_and_write_without_inotify_waits_for_contents_that_stay(self) -> None:
        self.write("dyn.yml", text("web"))
        provider = self.start_file()
        provider.watcher._notifier.loseConnection()
        self.write("dyn.yml", "")
        self.reactor.advance(POLL)
        self.write("dyn.yml", text("new"))
        self.reactor.advance(SETTLE)
        self.reactor.advance(SETTLE)
        self.assertEqual([list(found.routers) for found in self.sink.configurations], [["web"], ["new"]])

    def test_wrong_file_keeps_the_last_good_one_and_says_where(self) -> None:
        self.write("dyn.yml", text("web"))
        self.start_file()
        self.write("dyn.yml", text("web", "api") + "    bad: {rule: x, service: s, prority: 1}\n")
        self.settle()
        self.assertEqual(self.routers(), ["web"])
        problem = self.sink.last.problems[0]
        self.assertEqual(problem.where, "file dyn.yml, line 5: http.routers.bad.prority")
        self.assertEqual(problem.hint, "did you mean priority?")
        self.write("dyn.yml", text("api"))
        self.settle()
        self.assertEqual((self.routers(), self.sink.last.problems), (["api"], ()))

    def test_empty_file_is_a_statement(self) -> None:
        self.write("dyn.yml", text("web"))
        self.start_file()
        self.write("dyn.yml", "")
        self.settle()
        self.assertEqual(self.sink.last.routing, Configuration().routing)
        self.assertEqual(self.sink.losses, [])

    def test_missing_file_is_lost_until_it_is_there(self) -> None:
        self.start_file()
        self.reactor.pump([POLL, POLL])
        self.assertEqual(self.sink.losses, [f"can't read {self.path('dyn.yml')}: no such file or directory"])
        self.assertEqual(self.sink.configurations, [])
        self.write("dyn.yml", text("web"))
        self.settle()
        self.assertEqual(self.routers(), ["web"])

    def test_routes_of_a_file_that_was_taken_away_go(self) -> None:
        self.write("dyn.yml", text("web"))
        self.start_file()
        os.remove(self.path("dyn.yml"))
        self.settle()
        self.assertEqual((self.routers(), self.sink.causes[-1]), ([], "file dyn.yml is gone"))
        self.assertIn("it is gone", self.sink.last.problems[0].why)

    def test_file_that_can_not_be_read_any_more_is_lost_and_found_again(self) -> None:
        self.write("dyn.yml", text("web"))
        self.start_file()
        os.remove(self.path("dyn.yml"))
        os.mkfifo(self.path("dyn.yml"))
        self.settle()
        self.assertEqual(self.sink.losses, [f"can't read {self.path('dyn.yml')}: it is not a regular file"])
        self.replace("dyn.yml", text("web"))
        self.settle()
        self.assertEqual((len(self.sink.configurations), self.sink.causes[-1]), (2, "files read again"))

    def test_refresh_reads_at_once(self) -> None:
        self.write("dyn.yml", text("web"))
        provider = self.start_file()
        self.write("dyn.yml", text("api"))
        self.assertIsNone(self.successResultOf(provider.refresh()))
        self.assertEqual(self.routers(), ["api"])

    def test_without_watch_only_refresh_reads(self) -> None:
        self.write("dyn.yml", text("web"))
        provider = self.start(filename=self.path("dyn.yml"), watch=False)
        self.write("dyn.yml", text("api"))
        self.assertEqual((self.reactor.getDelayedCalls(), self.reactor.getReaders()), ([], []))
        provider.refresh()
        self.assertEqual(self.routers(), ["api"])

    def test_toml_is_read_too(self) -> None:
        self.write("dyn.toml", "[http.routers.web]\nrule = 'Path(`/`)'\nservice = 's'\n")
        self.start(filename=self.path("dyn.toml"))
        self.assertEqual((self.routers(), self.sink.last.problems), (["web"], ()))

    def test_stop_leaves_nothing_behind(self) -> None:
        self.write("dyn.yml", text("web"))
        provider = self.start_file()
        self.write("dyn.yml", text("api"))
        self.deliver()
        provider.stopService()
        self.assertEqual((self.reactor.getDelayedCalls(), self.reactor.getReaders()), ([], []))


class DirectoryTests(FileCase):
    """--file.directory."""

    def test_files_are_joined_and_followed_one_by_one(self) -> None:
        self.write("a.yml", text("a"))
        self.write("b.yml", text("b"))
        self.start(directory=self.top)
        self.assertEqual((self.routers(), self.sink.causes), (["a", "b"], ["2 files read"]))
        self.write("b.yml", text("b2"))
        self.settle()
        self.write("c.toml", "[http.routers.c]\nrule = 'Path(`/`)'\nservice = 's'\n")
        self.settle()
        os.remove(self.path("a.yml"))
        self.settle()
        self.assertEqual(self.routers(), ["b2", "c"])
        self.assertEqual(
            self.sink.causes[1:], ["file b.yml changed", "file c.toml changed", "file a.yml is gone"]
        )

    def test_broken_file_keeps_its_own_last_reading_only(self) -> None:
        self.write("a.yml", text("a"))
        self.write("b.yml", text("b"))
        self.start(directory=self.top)
        self.write("a.yml", "http: [")
        self.write("b.yml", text("b2"))
        self.settle()
        self.assertEqual((self.routers(), self.sink.causes[-1]), (["a", "b2"], "2 files changed"))
        self.assertEqual([item.verdict for item in self.sink.last.items], ["routed", "routed"])

    def test_new_directory_below_is_watched(self) -> None:
        self.start(directory=self.top)
        os.mkdir(self.path("below"))
        self.settle()
        self.write("below/a.yml", text("a"))
        self.settle()
        self.write("below/a.yml", text("b"))
        self.settle()
        self.assertEqual(self.routers(), ["b"])

    def test_directory_below_that_goes_away_takes_its_routes_and_no_watch_with_it(self) -> None:
        os.mkdir(self.path("below"))
        self.write("below/a.yml", text("a"))
        self.write("b.yml", text("b"))
        self.start(directory=self.top)
        os.remove(self.path("below/a.yml"))
        os.rmdir(self.path("below"))
        self.settle()
        self.write("b.yml", text("b2"))
        self.settle()
        self.assertEqual(self.routers(), ["b2"])

    def test_directory_that_goes_away_is_lost_and_its_routes_stay(self) -> None:
        os.mkdir(self.path("conf"))
        self.write("conf/a.yml", text("a"))
        self.start(directory=self.path("conf"))
        os.rename(self.path("conf"), self.path("old"))
        self.settle()
        self.assertEqual(self.sink.losses, [f"can't read {self.path('conf')}: no such file or directory"])
        self.assertEqual(len(self.sink.configurations), 1)
        os.rename(self.path("old"), self.path("conf"))
        self.reactor.advance(POLL)
        self.assertEqual((self.routers(), self.sink.causes[-1]), (["a"], "files read again"))

    def test_empty_directory_is_a_statement(self) -> None:
        self.start(directory=self.top)
        self.assertEqual(self.sink.configurations, [Configuration()])
        self.assertEqual(self.sink.losses, [])


class CertificateTests(FileCase):
    """tls.certificates, in files of their own."""

    def put(self, directory: str = "") -> Certificate:
        """A new certificate in two files."""
        made = pem.self_signed("a.example", ["a.example"], life=timedelta(days=90))
        for name, content in (("a.pem", made.chain), ("a.key", made.key)):
            self.replace(os.path.join(directory, name), content)
        return made

    def replace(self, name: str, content: str) -> None:
        self.write("new", content)
        os.rename(self.path("new"), self.path(name))

    def published(self) -> list[str]:
        return [certificate.chain for certificate in self.sink.last.certificates.values()]

    def test_certificate_that_changes_without_its_document_is_published(self) -> None:
        first = self.put()
        self.write("dyn.yml", "tls: {certificates: [{certFile: a.pem, keyFile: a.key}]}")
        self.start_file()
        self.assertEqual(self.published(), [first.chain])
        second = self.put()
        self.settle()
        self.assertEqual(self.published(), [second.chain])
        self.assertEqual(len(self.sink.configurations), 2)

    def test_certificate_in_another_directory_is_followed_too(self) -> None:
        os.mkdir(self.path("pki"))
        self.put("pki")
        self.write("dyn.yml", "tls: {certificates: [{certFile: pki/a.pem, keyFile: pki/a.key}]}")
        self.start_file()
        self.settle()
        second = self.put("pki")
        self.settle()
        self.assertEqual(self.published(), [second.chain])

    def test_routes_of_a_document_with_a_half_renewed_certificate_go_on_changing(self) -> None:
        first = self.put()
        tls = "tls: {certificates: [{certFile: a.pem, keyFile: a.key}]}\n"
        self.write("dyn.yml", tls + text("web"))
        self.start_file()
        self.replace("a.key", pem.self_signed("b.example", [], life=timedelta(days=1)).key)
        self.replace("dyn.yml", tls + text("web", "api"))
        self.settle()
        self.assertEqual((self.routers(), self.published()), (["web", "api"], [first.chain]))
        self.assertIn("read before stays", self.sink.last.problems[0].why)

    def test_two_files_may_have_certificates_for_one_name(self) -> None:
        self.put()
        for name in ("x.yml", "y.yml"):
            self.write(name, "tls: {certificates: [{certFile: a.pem, keyFile: a.key}]}")
        self.start(directory=self.top)
        self.assertEqual(list(self.sink.last.certificates), ["a.example", "a.example-2"])
        self.assertEqual(self.sink.last.problems, ())
