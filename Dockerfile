# A static binary in an empty image: no shell, no libraries, no other file.
#
#   docker build -t mcp-ssh-orchestrator .
#   docker run -i --rm --read-only --cap-drop=ALL --security-opt=no-new-privileges \
#     --memory=64m --network=... \
#     -v /etc/mcp-ssh/config:/app/config:ro -v /etc/mcp-ssh/keys:/app/keys:ro \
#     -v /etc/mcp-ssh/secrets:/app/secrets:ro mcp-ssh-orchestrator
#
# The mounted files must be readable by uid 10001. `scripts/container-test` builds the
# last stage from a binary that is already there, and runs it locked down as above.

FROM docker.io/library/rust:1.95-slim-bookworm AS build
# OpenSSL is built from source: it needs make and perl.
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev make perl \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --locked --release \
    && mkdir /out \
    && cp target/*-unknown-linux-gnu/release/mcp-ssh-orchestrator LICENSE /out/

FROM scratch
LABEL org.opencontainers.image.title="mcp-ssh-orchestrator" \
      org.opencontainers.image.description="An MCP server that runs policy-checked commands over SSH" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/mcp-ssh-orchestrator/mcp-ssh-orchestrator" \
      io.modelcontextprotocol.server.name="io.github.mcp-ssh-orchestrator/mcp-ssh-orchestrator"
COPY --from=build /out/mcp-ssh-orchestrator /usr/local/bin/mcp-ssh-orchestrator
COPY --from=build /out/LICENSE /LICENSE
ENV PATH=/usr/local/bin
USER 10001:10001
HEALTHCHECK --interval=5m --timeout=10s --start-period=5s CMD ["mcp-ssh-orchestrator", "status"]
ENTRYPOINT ["mcp-ssh-orchestrator"]
