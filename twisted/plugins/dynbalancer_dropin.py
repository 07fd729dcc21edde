"""The twistd command, and the list of built-in providers, middlewares and balancers.

To add one: one line here. Nothing heavy is imported; makers load their code when it is used.
"""

from twisted.application.service import ServiceMaker

from dynbalancer.plugins import BalancerMaker, MiddlewareMaker, Option, ProviderMaker

dynbalancer = ServiceMaker(
    "dynbalancer",
    "dynbalancer.tap",
    "A reverse proxy and load balancer that configures itself from container labels.",
    "dynbalancer",
)

# Providers
docker = ProviderMaker(
    "docker",
    "dynbalancer_docker.provider.make_provider",
    "Containers of a Docker engine, by their labels.",
    (
        Option("endpoint", "", "Where the engine listens (default: DOCKER_HOST, else the local socket)."),
        Option("exposedbydefault", True, "Route containers that have no traefik.enable label."),
        Option("network", "", "Network through which containers are reached."),
        Option("domain", "", "Domain of the default rule of v1 labels: Host:<name>.<domain>."),
        Option("defaultrule", "", "Rule of containers that have none, e.g. Host(`{{ normalize .Name }}`)."),
        Option(
            "defaultrulesyntax", "", "How rules are read that don't say: v2 or v3 (core.defaultrulesyntax)."
        ),
        Option("usebindportip", False, "Reach containers through their published address and port."),
        Option(
            "constraints",
            "",
            "Route containers that meet these: Label(`k`,`v`), or tag==api-*.",
            repeats=True,
        ),
        Option("keeptrailingslash", False, "A slash more at the end of a v1 Path is 404, not redirected."),
        Option("oneoffs", False, "Route containers of docker-compose run too."),
        Option("username", "", "Name to give the engine."),
        Option("password", "", "Password to give the engine."),
        Option("tls.ca", "", "File of authorities that the engine's certificate is from."),
        Option("tls.cert", "", "File of a certificate to show to the engine."),
        Option("tls.key", "", "File of its key."),
        Option("tls.insecureskipverify", False, "Accept any certificate of the engine."),
        Option("httpclienttimeout", 0.0, "Seconds the engine may be silent within an answer; 0: 10."),
        Option("watch", True, "Follow changes."),
        Option("swarmmode", False, "Swarm services instead of containers."),
        Option("refreshseconds", 15.0, "Seconds between full lists, which repair what events missed."),
    ),
)
file = ProviderMaker(
    "file",
    "dynbalancer_file.provider.make_provider",
    "A YAML or TOML file, or a directory of them.",
    (
        Option("filename", "", "The file to read."),
        Option("directory", "", "A directory: every .yml, .yaml and .toml in it."),
        Option(
            "defaultrulesyntax", "", "How rules are read that don't say: v2 or v3 (core.defaultrulesyntax)."
        ),
        Option("watch", True, "Follow changes."),
    ),
)
demo = ProviderMaker(
    "demo",
    "dynbalancer_demo.provider.make_provider",
    "A handful of local servers that come and go, to try things without a Docker engine.",
    (Option("period", 4.0, "Seconds between changes."),),
)

# Middlewares
addPrefix = MiddlewareMaker(
    "addPrefix", "dynbalancer.middlewares.paths.AddPrefix", "Puts a prefix in front of the path."
)
stripPrefix = MiddlewareMaker(
    "stripPrefix", "dynbalancer.middlewares.paths.StripPrefix", "Takes a prefix off the path."
)
replacePath = MiddlewareMaker(
    "replacePath", "dynbalancer.middlewares.paths.ReplacePath", "Sends another path to the server."
)
stripPrefixRegex = MiddlewareMaker(
    "stripPrefixRegex",
    "dynbalancer.middlewares.paths.StripPrefixRegex",
    "Takes off the path what a pattern finds at its start.",
)
replacePathRegex = MiddlewareMaker(
    "replacePathRegex",
    "dynbalancer.middlewares.paths.ReplacePathRegex",
    "Replaces what a pattern finds in the path.",
)
headers = MiddlewareMaker(
    "headers",
    "dynbalancer.middlewares.headers.Headers",
    "Sets and removes fields; CORS; what protects browsers.",
    cosmetic=("customResponseHeaders",),
)
redirectScheme = MiddlewareMaker(
    "redirectScheme", "dynbalancer.middlewares.redirects.RedirectScheme", "Redirects to another scheme."
)
redirectEntryPoint = MiddlewareMaker(
    "redirectEntryPoint",
    "dynbalancer.middlewares.redirects.RedirectEntryPoint",
    "Redirects to another entry point.",
    ("entry_points",),
)
redirectTrailingSlash = MiddlewareMaker(
    "redirectTrailingSlash",
    "dynbalancer.middlewares.redirects.RedirectTrailingSlash",
    "Redirects to a path without the slash at its end, or with it.",
)
redirectRegex = MiddlewareMaker(
    "redirectRegex", "dynbalancer.middlewares.redirects.RedirectRegex", "Redirects by a pattern for the URL."
)
ipAllowList = MiddlewareMaker(
    "ipAllowList", "dynbalancer.middlewares.allowlists.IpAllowList", "Lets only some addresses in."
)
basicAuth = MiddlewareMaker(
    "basicAuth",
    "dynbalancer.middlewares.auth.BasicAuth",
    "Asks for a name and a password.",
    ("in_thread", "secret"),
)
digestAuth = MiddlewareMaker(
    "digestAuth",
    "dynbalancer.middlewares.digest.DigestAuth",
    "Asks for a proof of a password.",
    ("clock", "secret"),
)
ipWhiteList = MiddlewareMaker(
    "ipWhiteList", "dynbalancer.middlewares.allowlists.IpWhiteList", "The older name of ipAllowList."
)
chain = MiddlewareMaker("chain", "dynbalancer.middlewares.chains.Chain", "One name for several middlewares.")
contentType = MiddlewareMaker(
    "contentType",
    "dynbalancer.middlewares.contenttypes.ContentType",
    "Without effect: no Content-Type is guessed here.",
    cosmetic=True,
)
rateLimit = MiddlewareMaker(
    "rateLimit",
    "dynbalancer.middlewares.limits.RateLimit",
    "Lets a source do only so many requests in a time.",
    ("clock", "later", "secret", "shared"),
)
inFlightReq = MiddlewareMaker(
    "inFlightReq",
    "dynbalancer.middlewares.limits.InFlightReq",
    "Lets a source have only so many requests at once.",
    ("secret", "shared"),
)
circuitBreaker = MiddlewareMaker(
    "circuitBreaker",
    "dynbalancer.middlewares.breakers.CircuitBreaker",
    "Asks no server for a while when too many answers are bad or late.",
    ("clock", "say", "secret", "shared"),
)
retry = MiddlewareMaker(
    "retry",
    "dynbalancer.middlewares.retries.Retry",
    "Sends a request once more where that may help.",
    cosmetic=True,
)
errors = MiddlewareMaker(
    "errors",
    "dynbalancer.middlewares.errorpages.Errors",
    "Shows a page of another service instead of an error.",
    ("ask", "say"),
    cosmetic=True,
)
buffering = MiddlewareMaker(
    "buffering",
    "dynbalancer.middlewares.buffers.Buffering",
    "Holds requests and answers until they are complete, and limits their size.",
)
compress = MiddlewareMaker(
    "compress",
    "dynbalancer.middlewares.compression.Compress",
    "Compresses answers: gzip, br, zstd.",
    cosmetic=True,
)
forwardAuth = MiddlewareMaker(
    "forwardAuth",
    "dynbalancer.middlewares.forwardauth.ForwardAuth",
    "Asks somebody else who may come in.",
    ("fetch", "say", "trusting"),
)
encodedCharacters = MiddlewareMaker(
    "encodedCharacters",
    "dynbalancer.middlewares.encodings.EncodedCharacters",
    "Refuses paths with characters in disguise.",
)
passTLSClientCert = MiddlewareMaker(
    "passTLSClientCert",
    "dynbalancer.middlewares.clientcertificates.PassTlsClientCert",
    "Tells the server of the client's certificate.",
)
grpcWeb = MiddlewareMaker(
    "grpcWeb", "dynbalancer.middlewares.grpcweb.GrpcWeb", "Translates gRPC-Web for gRPC servers."
)

# Balancers
wrr = BalancerMaker(
    "wrr", "dynbalancer.core.balancers.roundrobin.WeightedRoundRobin", "Weighted round robin, interleaved."
)
p2c = BalancerMaker(
    "p2c", "dynbalancer.core.balancers.p2c.TwoChoices", "Of two drawn by lot, the one with less to do."
)
hrw = BalancerMaker(
    "hrw", "dynbalancer.core.balancers.hrw.HighestRandomWeight", "Each client its own order of servers."
)
leasttime = BalancerMaker(
    "leasttime", "dynbalancer.core.balancers.leasttime.LeastTime", "The one that is likely to answer first."
)
drr = BalancerMaker(
    "drr", "dynbalancer.core.balancers.drr.DynamicRoundRobin", "Turns, fewer for those that fail."
)
