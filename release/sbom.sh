#!/usr/bin/env bash
# The dependencies of the programs, in the format of CycloneDX: sbom.sh VERSION FOLDER
# Those of the plugin are those for every platform.
set -euo pipefail
# shellcheck source=release/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=release/tools.sh
. "$root/release/tools.sh"
cyclonedx_tool
version=$1 folder=$2
# The tool writes beside the sources, so it gets a copy.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$root" && git ls-files -z | while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done |
  tar --null -T - -cf -) | tar -C "$work" -xf -
# PACKAGE PROGRAM TARGET
describe() {
  (cd "$work" && cargo cyclonedx --quiet --format json --spec-version 1.5 --describe binaries --target "$3")
  sed "s|$work|/src|g" "$work/$1/$2_bin.cdx.json" > "$folder/$2-$version.cdx.json"
}
describe . "$operator" x86_64-unknown-linux-musl
describe kubectl kubectl-cu all
