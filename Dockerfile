# The balancer as an image.
#
#   docker build -t dynbalancer .
#
# It starts as root only to bind the ports and to learn the group of the mounted Docker socket. Then the parent goes on as
# user dynbalancer with that group, and the workers, which handle the traffic, as dynbalancer-worker without it.
# `docker run --user …` works too.
#
# A directory `wheels` beside this file, with the project's wheel and those it needs, is used instead of the package index.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
COPY . /src
RUN python3 -m venv /opt/dynbalancer \
    && if ls /src/wheels/dynbalancer-*.whl >/dev/null 2>&1; \
       then /opt/dynbalancer/bin/pip install --no-cache-dir --no-index --find-links /src/wheels dynbalancer; \
       else /opt/dynbalancer/bin/pip install --no-cache-dir /src; fi \
    && /opt/dynbalancer/bin/pip uninstall --yes pip

FROM ${BASE}
COPY --from=build /opt/dynbalancer /opt/dynbalancer
RUN useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin dynbalancer \
    && useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin dynbalancer-worker \
    && ln -s /opt/dynbalancer/bin/dynbalancer /opt/dynbalancer/bin/twistd /usr/local/bin/ \
    # The list of plugins is read at every start; nobody may write it later.
    && /opt/dynbalancer/bin/twistd --help >/dev/null
ENV PYTHONUNBUFFERED=1 \
    DYNBALANCER_API_ADDRESS=:8080 \
    DYNBALANCER_USER=dynbalancer
WORKDIR /tmp
EXPOSE 80 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["dynbalancer", "healthcheck"]
ENTRYPOINT ["dynbalancer", "run"]
