#!/usr/bin/env bash
# The image of the operator for all platforms, as an archive of an OCI layout: image.sh VERSION REGISTRY FOLDER PLATFORM...
# Prints its digest. It has the content of the Dockerfile's image, with the licenses. The registry is one for this purpose, on this machine.
set -euo pipefail
# shellcheck source=release/lib.sh
. "$(dirname "$0")/lib.sh"
version=$1 registry=$2 folder=$3
shift 3
name="$registry/$operator"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
created=$(date --utc --date="@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)
about=(
  org.opencontainers.image.title="$operator"
  org.opencontainers.image.description="Makes per-user compute pods reachable through one shared Envoy Gateway"
  org.opencontainers.image.licenses=Apache-2.0
  org.opencontainers.image.version="$version"
  org.opencontainers.image.revision="$RELEASE_REVISION"
  org.opencontainers.image.created="$created"
)
references=()
for platform; do
  files="$work/$platform"
  mkdir -p "$files/licenses"
  install "$root/target/release-build/programs/$platform/$operator" "$files/$operator"
  install -m 644 "$root/LICENSE" "$root/NOTICE" "$files/licenses"
  tarball "$files" "$operator" licenses > "$files.tar"
  tag="$name:${platform/\//-}"
  crane append --oci-empty-base --new_layer "$files.tar" --new_tag "$tag" > /dev/null 2>&1
  marks=()
  for mark in "${about[@]}"; do marks+=(--label "$mark" --annotation "$mark"); done
  crane mutate "$tag" --tag "$tag" --set-platform "$platform" --entrypoint "/$operator" --cmd run --user 65532:65532 \
    --exposed-ports 8080,8090 "${marks[@]}" > /dev/null 2>&1
  references+=(--manifest "$tag")
done
crane index append "${references[@]}" --tag "$name:$version" > /dev/null 2>&1
crane validate --remote "$name:$version" > /dev/null
save_layout "$name:$version" "$folder/$operator-image-$version.oci.tar"
crane digest "$name:$version"
