# The image contains the static binary and CA certificates only: no shell, no package manager, no root user.

# With the registry's name, because Debian's buildah has no default registry.
FROM --platform=$BUILDPLATFORM docker.io/library/golang:1.26.8-bookworm@sha256:a688600ca24f8a4d3ca77f95b0dd40704a9fc787c826660eb7ba0b641b8b175d AS build
# Go of releases. The image's own go command fetches it as a module, checked against the checksum database, so a security
# fix does not have to wait for the next image.
ENV GOTOOLCHAIN=go1.26.11
WORKDIR /src
COPY . .
RUN mkdir -p /root-fs/etc/ssl/certs \
    && cp /etc/ssl/certs/ca-certificates.crt /root-fs/etc/ssl/certs/ \
    && cp delivery/passwd /root-fs/etc/
# Set by the builder, because .git is not part of the build context.
ARG REVISION=unknown
ARG BRANCH=unknown
ARG DATE=unknown
ARG TARGETOS
ARG TARGETARCH
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    GOOS="$TARGETOS" GOARCH="$TARGETARCH" make build REVISION="$REVISION" BRANCH="$BRANCH" DATE="$DATE" \
    && cp bin/coingecko-exporter /root-fs/

FROM scratch
COPY --from=build /root-fs/ /
USER 65532:65532
EXPOSE 9880
ENTRYPOINT ["/coingecko-exporter"]

ARG VERSION=unknown
ARG REVISION=unknown
ARG DATE=unknown
LABEL org.opencontainers.image.title="coingecko-exporter" \
      org.opencontainers.image.description="Prometheus exporter for CoinGecko's bitcoin exchange rates, with a built-in screen" \
      org.opencontainers.image.url="https://github.com/heycard/coingecko-exporter" \
      org.opencontainers.image.source="https://github.com/heycard/coingecko-exporter" \
      org.opencontainers.image.documentation="https://github.com/heycard/coingecko-exporter/blob/main/README.md" \
      org.opencontainers.image.vendor="HeyCard" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.created="$DATE"
