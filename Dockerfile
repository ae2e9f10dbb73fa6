# The operator alone in an empty image: one static binary, no shell, no files. Works with docker and with buildah.
FROM rust:1-slim AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY kubectl kubectl
COPY e2e e2e
# `--target` keeps crt-static away from build scripts and proc-macros, which must stay dynamic.
RUN target="$(rustc -vV | sed -n 's/^host: //p')" \
 && RUSTFLAGS="-C target-feature=+crt-static" \
    cargo build --release --locked --package computing-unit-operator --bin computing-unit-operator --target "$target" \
 && install -D "target/$target/release/computing-unit-operator" /out/computing-unit-operator

FROM scratch
COPY --from=build /out/computing-unit-operator /computing-unit-operator
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/computing-unit-operator"]
CMD ["run"]
