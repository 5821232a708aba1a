# syntax=docker/dockerfile:1
# docker build -t martlet .
# scripts/check-image runs the last stage without a container engine.

FROM swift:6.3-bookworm AS builder
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        libprotobuf-c-dev libcurl4-openssl-dev libdeflate-dev libisal-dev zlib1g-dev libzstd-dev libsnappy-dev libyaml-dev libpcre2-dev \
        pkg-config \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
# The dependencies change less often than the sources: resolved in a layer of their own.
COPY Package.swift Package.resolved* ./
RUN swift package resolve
COPY Sources Sources
# SwiftPM wants the folders of the test targets to be there.
COPY Tests Tests
RUN swift build -c release --static-swift-stdlib --product martlet \
    && strip --strip-all -o /martlet .build/release/martlet

FROM debian:bookworm-slim
LABEL org.opencontainers.image.title="martlet" \
    org.opencontainers.image.description="OpenTelemetry collector for AI workloads" \
    org.opencontainers.image.licenses="Apache-2.0"
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        ca-certificates libprotobuf-c1 libcurl4 libdeflate0 libisal2 zlib1g libzstd1 libsnappy1v5 libyaml-0-2 libpcre2-8-0 \
        libstdc++6 \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb /var/log/apt /var/log/dpkg.log
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin martlet
COPY --from=builder /martlet /usr/bin/martlet
COPY deploy/container/config.yaml /etc/martlet/config.yaml
USER 10001
# 4317 is reserved for OTLP/gRPC; 4318 OTLP/HTTP, 8888 metrics of Martlet itself, 13133 health.
EXPOSE 4317 4318 8888 13133
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 CMD ["/usr/bin/martlet", "health"]
ENTRYPOINT ["/usr/bin/martlet"]
CMD ["run", "--config", "/etc/martlet/config.yaml"]
