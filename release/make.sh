#!/usr/bin/env bash
# Makes everything that a release needs, from a clean checkout of its tag. docs/release.md describes what and why.
set -euo pipefail
# shellcheck source=release/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=release/tools.sh
. "$root/release/tools.sh"

usage() {
  cat <<END
usage: release/make.sh [options]
  --sign KEY                 the key of gpg that signs the charts and the checksums. Required for a release
  --download-url URL         where the archives of the plugin will be, for the manifest of krew. Required for a release
  --image-repository NAME    repository of the image, which the chart then has. Without it, the chart requires image.repository
  --output FOLDER            default: target/release-artifacts. It is replaced
  --snapshot                 a trial, from any commit and from changed files
  --targets "linux/amd64"    only these platforms. Only for a snapshot
END
}

key='' url='' repository='' output="$root/target/release-artifacts" snapshot=''
platforms="linux/amd64 linux/arm64 darwin/amd64 darwin/arm64"
while [ $# -gt 0 ]; do
  case $1 in
    --sign) key=$2 && shift ;;
    --download-url) url=$2 && shift ;;
    --image-repository) repository=$2 && shift ;;
    --output) output=$2 && shift ;;
    --targets) platforms=$2 restricted=1 && shift ;;
    --snapshot) snapshot=--snapshot ;;
    --help) usage && exit ;;
    *) usage >&2 && exit 2 ;;
  esac
  shift
done

version=$("$root/release/check.sh" $snapshot)
own=${version%-snapshot.*} section=$version
if [ -n "$snapshot" ]; then
  section=Unreleased
else
  [ -n "$key" ] || fail "--sign is required for a release"
  [ -n "$url" ] || fail "--download-url is required for a release"
  [ -z "${restricted:-}" ] || fail "a release is for all platforms: --targets needs --snapshot"
fi
# The domain is reserved for examples.
url=${url:-https://example.org/releases}
linux=$(tr ' ' '\n' <<< "$platforms" | grep '^linux/') || fail "--targets: the image needs a platform of Linux"
require gpg=gnupg
command -v helm > /dev/null || fail "helm is missing: use make release"

# Files have the time of the commit.
SOURCE_DATE_EPOCH=$(git -C "$root" log -1 --format=%ct)
RELEASE_REVISION=$(git -C "$root" rev-parse HEAD)
export SOURCE_DATE_EPOCH RELEASE_REVISION
crane_tool
export PATH
work=$(mktemp -d)
trap 'kill "${registry_pid:-$BASHPID}" 2> /dev/null; rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
rm -rf "$output"
mkdir -p "$output"
output=$(cd "$output" && pwd)
if [ -n "$key" ]; then
  export RELEASE_KEY=$key RELEASE_KEYRING="$work/keyring.gpg"
  gpg --batch --export "$key" > "$RELEASE_KEYRING"
  [ -s "$RELEASE_KEYRING" ] || fail "gpg has no key $key"
  gpg --batch --armor --export "$key" > "$output/release-key.asc"
fi

timings=
part() {
  local begun=$SECONDS
  "$root/release/$1.sh" "${@:2}"
  timings+="$(printf '%-10s %5d s' "$1" $((SECONDS - begun)))"$'\n'
}
# Platforms are words.
# shellcheck disable=SC2086
part binaries "$own" $platforms
serve_registry "$work"
# shellcheck disable=SC2086
part image "$version" "$registry" "$output" $linux > "$work/digest"
digest=$(cat "$work/digest")
part charts "$version" "$registry" "$output" "$digest" "$repository"
part manifests "$version" "$output" "$repository"
# shellcheck disable=SC2086
part plugin "$version" "$url" "$output" $platforms
part java "$version" "$output"
part sbom "$version" "$output"
{
  printf '# %s %s\n\nDigest of the image: %s\n\n' "$operator" "$version" "$digest"
  "$root/release/notes.sh" "$section"
} > "$output/RELEASE_NOTES.md"
(
  cd "$output"
  find . -maxdepth 1 -type f ! -name 'SHA256SUMS*' -printf '%P\0' | sort -z | xargs -0 sha256sum > "$work/SHA256SUMS"
  mv "$work/SHA256SUMS" .
  [ -z "$key" ] || gpg --batch --yes --local-user "$key" --armor --detach-sign --output SHA256SUMS.asc SHA256SUMS
)
echo "$timings"
du --apparent-size --human-readable --all "$output" | sort -k2
echo "release $version is complete"
