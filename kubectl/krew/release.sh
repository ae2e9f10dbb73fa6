#!/bin/bash
# Cross-compiles the plugin for Linux and macOS on amd64 and arm64, and packs it for krew: release.sh VERSION URL FOLDER
#
# It needs cargo-zigbuild with zig (`pip install cargo-zigbuild ziglang`), and the targets of rustup that are listed below.
# Programs for Linux are static. Programs for macOS need the frameworks of its SDK when they are linked: with SDKROOT the
# real ones; otherwise stubs that only have the names of the frameworks, so that the loader of macOS finds the symbols.
# What this machine can run is run. At the end it prints what was not. KREW_TARGETS selects some of the targets.
set -euo pipefail
version=$1 url=$2 folder=$3
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
rm -f "$folder"/kubectl-cu-*.tar.gz "$folder/cu.yaml"
cd "$root"
# A folder of its own: with the features of other programs, dependencies would be compiled again. Its path is in the flags.
build="$root/target/krew-release"
sdk="$build/sdk"

# Target of rustc, operating system, architecture, and the description of its programs by file(1).
platforms="
x86_64-unknown-linux-musl linux amd64 ELF.64-bit.*x86-64.*static
aarch64-unknown-linux-musl linux arm64 ELF.64-bit.*aarch64.*static
x86_64-apple-darwin darwin amd64 Mach-O.64-bit.*x86_64
aarch64-apple-darwin darwin arm64 Mach-O.64-bit.*arm64
"

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

not_run=()
while read -r target os arch format; do
  [ -n "$target" ] || continue
  case " ${KREW_TARGETS:-$target} " in *" $target "*) ;; *) continue ;; esac
  flags=
  if [ "$os" = darwin ] && [ -z "${SDKROOT:-}" ]; then
    for name in AppKit CoreFoundation CoreServices Foundation Security; do
      stub "$sdk/frameworks/$name.framework/$name.tbd" "/System/Library/Frameworks/$name.framework/Versions/A/$name"
    done
    stub "$sdk/lib/libobjc.tbd" /usr/lib/libobjc.A.dylib
    flags="-C link-arg=-F$sdk/frameworks -C link-arg=-L$sdk/lib -C link-arg=-Wl,-undefined,dynamic_lookup"
  fi
  RUSTFLAGS="$flags" cargo zigbuild --locked --quiet --release --package kubectl-computing-unit --target "$target" \
    --target-dir "$build"
  program="$build/$target/release/kubectl-cu"
  file --brief "$program" | grep -Eq "$format" || { file "$program" >&2; exit 1; }
  if "$program" --version 2> /dev/null | grep -qx "kubectl-cu $version"; then
    echo "$os/$arch: runs"
  else
    not_run+=("$os/$arch")
  fi
  "$here/pack.sh" "$program" "$version" "$url" "$folder" "$os" "$arch" > /dev/null
done <<< "$platforms"

(cd "$folder" && sha256sum kubectl-cu-*.tar.gz > checksums.txt)
echo "$folder/cu.yaml"
[ ${#not_run[@]} = 0 ] || echo "not run on this machine, only checked for their format: ${not_run[*]}"
