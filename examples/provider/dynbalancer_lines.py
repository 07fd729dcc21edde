"""A provider: each line of a text file is a host name and the URL of its server."""

from twisted.application.internet import TimerService
from twisted.internet.defer import maybeDeferred
from twisted.python.filepath import FilePath
from zope.interface import implementer

from dynbalancer.core.model import Configuration, Router, Server, Service
from dynbalancer.interfaces import IProvider


@implementer(IProvider)
class LinesProvider(TimerService):
    name = "lines"

    def __init__(self, settings, sink, reactor):
        super().__init__(1.0, self.read)
        self.clock, self.file, self.sink = reactor, FilePath(settings["filename"]), sink

    def read(self):
        try:
            pairs = [line.split() for line in self.file.getContent().decode().splitlines() if line.strip()]
            routers = {host: Router(host, f"Host(`{host}`)", host) for host, _ in pairs}
            services = {host: Service(host, (Server(url),)) for host, url in pairs}
            self.sink.publish(Configuration(routers, services), "the file was read")
        except (OSError, ValueError) as error:
            self.sink.lost(f"{self.file.path}: {error}")

    def refresh(self):
        return maybeDeferred(self.read)
