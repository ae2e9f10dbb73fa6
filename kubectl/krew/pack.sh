#!/bin/sh
# Creates a release of the plugin for krew: pack.sh PROGRAM VERSION URL FOLDER [OS ARCH]
# Writes kubectl-cu-OS-ARCH.tar.gz for the platform, by default the current one, and the manifest cu.yaml for all archives
# in the folder.
set -eu
program=$1 version=$2 url=$3 folder=$4
here=$(cd "$(dirname "$0")" && pwd)
os=${5:-$(uname -s | tr '[:upper:]' '[:lower:]')}
case ${6:-$(uname -m)} in
  x86_64 | amd64) arch=amd64 ;;
  aarch64 | arm64) arch=arm64 ;;
  *) echo "pack.sh: unsupported machine $(uname -m)" >&2; exit 1 ;;
esac
mkdir -p "$folder"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$program" "$work/kubectl-cu"
cp "$here/../../LICENSE" "$here/../../NOTICE" "$work/"
# The archive is reproducible.
tar -C "$work" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf - kubectl-cu LICENSE NOTICE \
  | gzip -n > "$folder/kubectl-cu-$os-$arch.tar.gz"
{
  sed "s/@VERSION@/v$version/" "$here/cu.yaml"
  for archive in "$folder"/kubectl-cu-*-*.tar.gz; do
    name=$(basename "$archive" .tar.gz)
    platform=${name#kubectl-cu-}
    sum=$(sha256sum "$archive" | cut -d' ' -f1)
    cat <<END
    - selector:
        matchLabels:
          os: ${platform%-*}
          arch: ${platform#*-}
      uri: $url/$name.tar.gz
      sha256: $sum
      bin: kubectl-cu
END
  done
} > "$folder/cu.yaml"
echo "$folder/cu.yaml"
