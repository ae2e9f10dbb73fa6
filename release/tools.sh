# shellcheck shell=bash
# Puts the tools of a release on PATH, in the versions that are pinned here and in tools/. Sourced, after lib.sh. What is missing is
# installed into the cache.
# shellcheck disable=SC2154
CYCLONEDX_VERSION=0.5.9
export CYCLONEDX_MAVEN=org.cyclonedx:cyclonedx-maven-plugin:2.9.1

tools=${XDG_CACHE_HOME:-$HOME/.cache}/computing-unit-operator/release-tools
mkdir -p "$tools"

# The folder of a tool, named by what it is made from.
versioned() {
  echo "$tools/$1-$(cat "${@:2}" | sha256sum | cut -c1-12)"
}

# A program of a Go module, pinned by the go.sum in tools/.
go_tool() {
  local name=$1 package=$2 module="$root/release/tools/$1" folder
  folder=$(versioned "$name" "$module/go.mod" "$module/go.sum")
  [ -x "$folder/$name" ] || (cd "$module" && CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w' -o "$folder/$name" "$package")
  PATH="$folder:$PATH"
}

crane_tool() {
  require go=golang
  go_tool crane github.com/google/go-containerregistry/cmd/crane
}

krew_tool() {
  require go=golang
  go_tool krew sigs.k8s.io/krew/cmd/krew
}

zigbuild_tool() {
  local folder
  folder=$(versioned zigbuild "$root/release/tools/requirements.txt")
  if [ ! -x "$folder/bin/cargo-zigbuild" ]; then
    require python3=python3-venv
    python3 -m venv "$folder"
    "$folder/bin/pip" install --quiet --disable-pip-version-check --require-hashes --no-deps -r "$root/release/tools/requirements.txt"
  fi
  PATH="$folder/bin:$PATH"
}

cyclonedx_tool() {
  local folder="$tools/cargo-cyclonedx-$CYCLONEDX_VERSION"
  [ -x "$folder/bin/cargo-cyclonedx" ] ||
    cargo install cargo-cyclonedx --quiet --locked --version "$CYCLONEDX_VERSION" --root "$folder"
  PATH="$folder/bin:$PATH"
}
