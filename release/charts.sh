#!/usr/bin/env bash
# The charts, packaged, and as archives of OCI layouts: charts.sh VERSION REGISTRY FOLDER DIGEST REPOSITORY
#
# The operator's chart has the digest of its image, which is the same in all registries. REPOSITORY can be empty: then the chart still
# requires `image.repository`. With RELEASE_KEY, each chart has a provenance file. It is signed by gpg, so that the secret key stays
# where gpg has it: `helm package --sign` would need a file with it.
set -euo pipefail
# shellcheck source=release/lib.sh
. "$(dirname "$0")/lib.sh"
version=$1 registry=$2 folder=$3 digest=$4 repository=$5
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for chart in "$operator" texera-gateway; do
  cp -R "$root/charts/$chart" "$work/$chart"
  if [ "$chart" = "$operator" ]; then
    sed -i -e "0,/^  digest: \"\"/s||  digest: \"$digest\"|" -e "0,/^  repository: \"\"/s||  repository: \"$repository\"|" \
      "$work/$chart/values.yaml"
    [ -z "$repository" ] || sed -i 's|^  # Required. No image is published: .*|  # Where the image of this release is published.|' "$work/$chart/values.yaml"
    grep -qF "$digest" "$work/$chart/values.yaml" || fail "values.yaml of $chart has no image.digest to set"
  fi
  find "$work/$chart" -exec touch --date="@$SOURCE_DATE_EPOCH" {} +
  helm package "$work/$chart" --version "$version" --app-version "$version" --destination "$folder" > /dev/null
  package="$folder/$chart-$version.tgz"
  if [ -n "${RELEASE_KEY:-}" ]; then
    {
      helm show chart "$package"
      printf '\n...\nfiles:\n  %s: sha256:%s\n' "${package##*/}" "$(sha256sum "$package" | cut -d' ' -f1)"
    } | gpg --batch --yes --local-user "$RELEASE_KEY" --digest-algo SHA512 --clear-sign --output "$package.prov"
    helm verify "$package" --keyring "$RELEASE_KEYRING" > /dev/null
  fi
  # Its time is in the manifest that Helm pushes.
  touch --date="@$SOURCE_DATE_EPOCH" "$package"
  helm push "$package" "oci://$registry/charts" --plain-http > /dev/null 2>&1
  save_layout "$registry/charts/$chart:$version" "$folder/$chart-chart-$version.oci.tar"
done
