#!/usr/bin/env bash
# Compiles the operator and the plugin: binaries.sh VERSION PLATFORM..., such as linux/amd64. Programs for Linux are static. Those for
# macOS are the plugin only.
#
# Programs for macOS need the frameworks of its SDK when they are linked: with SDKROOT the real ones; otherwise stubs that only have
# the names of the frameworks, so that the loader of macOS finds the symbols.
# What this machine can run is run, programs for arm64 with qemu-aarch64-static if it is installed. The rest is only checked for its
# format; the last line has their names.
set -euo pipefail
# shellcheck source=release/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=release/tools.sh
. "$root/release/tools.sh"
zigbuild_tool
require file=file
version=$1
shift
cd "$root"
# With a folder of its own, these features do not compile the dependencies of other programs again.
build="$root/target/release-build"

# The target of rustc for a platform, and what file(1) says of its programs.
describe() {
  case $1 in
    linux/amd64) target=x86_64-unknown-linux-musl format='ELF 64-bit.*x86-64.*static' ;;
    linux/arm64) target=aarch64-unknown-linux-musl format='ELF 64-bit.*aarch64.*static' ;;
    darwin/amd64) target=x86_64-apple-darwin format='Mach-O 64-bit.*x86_64' ;;
    darwin/arm64) target=aarch64-apple-darwin format='Mach-O 64-bit.*arm64' ;;
    *) fail "unknown platform $1" ;;
  esac
}

# A library without symbols: file, and name on macOS.
stub() {
  mkdir -p "$(dirname "$1")"
  cat > "$1" <<END
--- !tapi-tbd
tbd-version: 4
targets: [ x86_64-macos, arm64-macos ]
install-name: '$2'
...
END
}

# The flags that link a program for macOS without its SDK.
without_sdk() {
  local name sdk="$build/sdk"
  for name in AppKit CoreFoundation CoreServices Foundation Security; do
    stub "$sdk/frameworks/$name.framework/$name.tbd" "/System/Library/Frameworks/$name.framework/Versions/A/$name"
  done
  stub "$sdk/lib/libobjc.tbd" /usr/lib/libobjc.A.dylib
  echo " -C link-arg=-F$sdk/frameworks -C link-arg=-L$sdk/lib -C link-arg=-Wl,-undefined,dynamic_lookup"
}

# Runs a program, if this machine can.
run() {
  "$@" 2> /dev/null || case $format in
    *aarch64*) ! command -v qemu-aarch64-static > /dev/null || qemu-aarch64-static "$@" ;;
  esac
}

not_run=()
for platform; do
  describe "$platform"
  rustup target list --installed | grep -qx "$target" || rustup --quiet target add "$target"
  # Messages of panics have paths of sources: not those of this machine.
  flags="--remap-path-prefix=$root=/src --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo"
  selected=(--package kubectl-computing-unit --bin kubectl-cu)
  programs=(kubectl-cu)
  case $platform in
    linux/*) selected+=(--package "$operator" --bin "$operator") programs+=("$operator") ;;
    *) [ -n "${SDKROOT:-}" ] || flags+=$(without_sdk) ;;
  esac
  RUSTFLAGS="$flags" cargo zigbuild --locked --quiet --release "${selected[@]}" --target "$target" --target-dir "$build"
  mkdir -p "$build/programs/$platform"
  for program in "${programs[@]}"; do
    found="$build/$target/release/$program"
    file --brief "$found" | grep -Eq "$format" || fail "$(file "$found")"
    said=$(run "$found" --version || true)
    case $said in
      "$program $version") echo "$platform: $program runs" ;;
      "") not_run+=("$platform $program") ;;
      *) fail "$found says that it is '$said', not version $version" ;;
    esac
    install "$found" "$build/programs/$platform/$program"
  done
done
[ ${#not_run[@]} = 0 ] || (IFS=,; echo "only checked for their format, not run: ${not_run[*]}")
