#!/usr/bin/env bash
# Prints the release notes, which are the section of the changelog: notes.sh VERSION. `Unreleased` is a section, too.
set -euo pipefail
# shellcheck source=release/lib.sh
. "$(dirname "$0")/lib.sh"
section=$(awk -v heading="## [$1]" '
  /^## / { inside = (index($0, heading) == 1); next }
  /^\[[^]]*\]: / { inside = 0 }
  inside' "$root/CHANGELOG.md")
[[ $section =~ [^[:space:]] ]] || fail "CHANGELOG.md has no text for [$1]"
# Outside of the repository, a relative link leads nowhere: its path is printed instead.
# shellcheck disable=SC2016
sed -e '/./,$!d' -E -e 's/\[([^]]+)\]\(([^):]+)\)/\1 (`\2`)/g' <<< "$section"
