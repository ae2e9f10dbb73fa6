# Images with one static binary each, no shell and no files. Works with docker and with buildah. The last one, which is built by
# default, is the operator; `--target engine` is the stand-in for what a unit runs, for the demo and the tests.
# The version of Rust is that of rust-toolchain.toml, which is not copied: rustup would download its other components.
FROM rust:1.95.0-slim-bookworm AS source
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY api api
COPY src src
COPY kubectl kubectl
COPY e2e e2e
# `--target` keeps crt-static away from build scripts and proc-macros, which must stay dynamic.
ENV RUSTFLAGS="-C target-feature=+crt-static"
RUN rustc -vV | sed -n 's/^host: //p' > /target

FROM source AS build-engine
RUN cargo build --release --locked --package engine --bin engine --target "$(cat /target)" \
 && install -D "target/$(cat /target)/release/engine" /out/engine

FROM source AS build-operator
RUN cargo build --release --locked --package computing-unit-operator --bin computing-unit-operator --target "$(cat /target)" \
 && install -D "target/$(cat /target)/release/computing-unit-operator" /out/computing-unit-operator

FROM scratch AS engine
COPY --from=build-engine /out/engine /engine
USER 65532:65532
EXPOSE 8085
ENTRYPOINT ["/engine"]

FROM scratch AS operator
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="computing-unit-operator" \
      org.opencontainers.image.description="Makes per-user compute pods reachable through one shared Envoy Gateway" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build-operator /out/computing-unit-operator /computing-unit-operator
USER 65532:65532
# Health and metrics; the activator.
EXPOSE 8080 8090
ENTRYPOINT ["/computing-unit-operator"]
CMD ["run"]
