# syntax=docker/dockerfile:1

# The bundled server. It listens on every interface, so it needs JWT_SECRET, which signs access tokens. Generate a secret,
# keep it (tokens signed with another one become invalid), and run:
#
#   docker build -t multitenancy-server .
#   docker run -p 8080:8080 -v multitenancy:/data -e JWT_SECRET="$(openssl rand -base64 48)" multitenancy-server

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
# SQLite and the TLS library are compiled from C, with the image's gcc.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked -p example-server \
    && cp target/release/example-server /usr/local/bin/

FROM debian:bookworm-slim
# The mailer uses TLS, which needs root certificates.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && install --directory --owner=10001 --group=10001 --mode=0700 /data
COPY --from=build /usr/local/bin/example-server /usr/local/bin/

# A numeric user, so that an orchestrator can check that it is not root.
USER 10001:10001
WORKDIR /data
VOLUME /data
ENV SERVER_HOST=0.0.0.0 \
    DATABASE_URL=sqlite:/data
EXPOSE 8080

# The image has no curl, so the program checks its own server.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["example-server", "--healthcheck"]
ENTRYPOINT ["example-server"]
