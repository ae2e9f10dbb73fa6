#!/usr/bin/env bash
# The CRDs in one file, and the packaged chart as manifests, for installations without Helm: manifests.sh VERSION FOLDER REPOSITORY
set -euo pipefail
# shellcheck source=release/lib.sh
. "$(dirname "$0")/lib.sh"
version=$1 folder=$2
# The top-level domain is reserved, so nobody can publish an image of this name.
repository=${3:-registry.invalid/$operator}
for crd in "$root"/crds/*.yaml; do
  echo ---
  cat "$crd"
done > "$folder/crds.yaml"
{
  cat "$root/config/namespace.yaml"
  helm template "$operator" "$folder/$operator-$version.tgz" --namespace computing-unit-system --no-hooks \
    --set "image.repository=$repository"
} > "$folder/install.yaml"
