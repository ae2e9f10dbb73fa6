# The operator in an empty image: one static binary, no shell, no files. Works with docker and with buildah.
# The version of Rust is that of rust-toolchain.toml, which is not copied: rustup would download its other components.
FROM rust:1.95.0-slim-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY api api
COPY src src
COPY kubectl kubectl
COPY e2e e2e
# `--target` keeps crt-static away from build scripts and proc-macros, which must stay dynamic.
RUN target="$(rustc -vV | sed -n 's/^host: //p')" \
 && RUSTFLAGS="-C target-feature=+crt-static" \
    cargo build --release --locked --package computing-unit-operator --bin computing-unit-operator --target "$target" \
 && install -D "target/$target/release/computing-unit-operator" /out/computing-unit-operator

FROM scratch
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="computing-unit-operator" \
      org.opencontainers.image.description="Makes per-user compute pods reachable through one shared Envoy Gateway" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build /out/computing-unit-operator /computing-unit-operator
USER 65532:65532
# Health and metrics; the activator.
EXPOSE 8080 8090
ENTRYPOINT ["/computing-unit-operator"]
CMD ["run"]
