# shellcheck shell=bash
# What the scripts of a release share. Sourced.
# shellcheck disable=SC2034,SC2153
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
operator=computing-unit-operator

fail() {
  echo "release: $*" >&2
  exit 1
}

# The programs that a release needs, with the packages of Debian that have them.
require() {
  local package
  for package; do
    command -v "${package%=*}" > /dev/null || fail "${package%=*} is missing: install ${package#*=}"
  done
}

# An archive with the same bytes for the same files: tarball FOLDER NAME... prints it.
tarball() {
  local folder=$1
  shift
  tar -C "$folder" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=go=rX,u+w -cf - "$@"
}

# Starts a registry on a free port of this machine, in FOLDER, and sets `registry`. The caller ends process `registry_pid`.
serve_registry() {
  local folder=$1 line
  mkdir -p "$folder/blobs"
  # The program prints its port once it listens.
  coproc REGISTRY { exec crane registry serve --address 127.0.0.1:0 --disk "$folder/blobs" 2>&1; }
  registry_pid=$REGISTRY_PID
  while read -r line <&"${REGISTRY[0]}"; do
    case $line in *"serving on port "*) registry=localhost:${line##* } && break ;; esac
  done
  [ -n "${registry:-}" ] || fail "the registry did not start"
}

# Writes what REFERENCE is in a registry into FILE, as a tar archive of an OCI layout.
save_layout() {
  local reference=$1 file=$2 folder
  folder=$(mktemp -d)
  crane pull --format=oci "$reference" "$folder/layout"
  tarball "$folder/layout" blobs index.json oci-layout > "$file"
  rm -rf "$folder"
}
