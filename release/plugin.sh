#!/usr/bin/env bash
# The archives of the plugin, and the manifest for krew: plugin.sh VERSION URL FOLDER PLATFORM...
set -euo pipefail
# shellcheck source=release/lib.sh
. "$(dirname "$0")/lib.sh"
version=$1 url=$2 folder=$3
shift 3
for platform; do
  "$root/kubectl/krew/pack.sh" "$root/target/release-build/programs/$platform/kubectl-cu" "$version" "$url" "$folder" \
    "${platform%/*}" "${platform#*/}" > /dev/null
done
