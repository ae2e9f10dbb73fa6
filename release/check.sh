#!/usr/bin/env bash
# Whether this checkout can be released: check.sh [--snapshot]. Prints the version.
#
# A release needs a clean tree, and a tag vX.Y.Z of the version that all parts have. A snapshot is a trial: its version has the
# commit, and `dirty` if the tree is.
set -euo pipefail
# shellcheck source=release/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$root"
snapshot=${1:-}

# Where the version stands: a file, what it is of, and the expression of sed that prints it.
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$ ]] || fail "Cargo.toml has no version X.Y.Z: '$version'"
same() {
  local found
  found=$(sed -n "$2" "$1")
  [ "$found" = "$version" ] || fail "Cargo.toml has version $version, but $1 has '$found'"
}
for chart in "charts/$operator" charts/texera-gateway; do
  same "$chart/Chart.yaml" 's/^version: //p'
  same "$chart/Chart.yaml" 's/^appVersion: "\(.*\)"/\1/p'
done
same clients/java/pom.xml '0,/<version>/s/.*<version>\(.*\)<\/version>.*/\1/p'
same Dockerfile 's/^ARG VERSION=//p'

dirty=$(git status --porcelain)
if [ "$snapshot" = --snapshot ]; then
  echo "$version-snapshot.g$(git rev-parse --short=9 HEAD)${dirty:+.dirty}"
  exit
fi
[ -z "$dirty" ] || fail "the tree has changes that are not committed: commit them, or use --snapshot"
git tag --points-at HEAD | grep -qxF "v$version" || fail "HEAD has no tag v$version: tag it, or use --snapshot"
release/notes.sh "$version" > /dev/null
echo "$version"
