#!/usr/bin/env bash
# The client for the JVM with its sources, documentation and dependencies: java.sh VERSION FOLDER
set -euo pipefail
# shellcheck source=release/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=release/tools.sh
. "$root/release/tools.sh"
require mvn=maven javac=default-jdk-headless
version=$1 folder=$2
client=computing-unit-client
build="$root/clients/java/target"
mvn --batch-mode --no-transfer-progress --quiet --file "$root/clients/java/pom.xml" --activate-profiles release \
  -Dmaven.test.skip=true -DincludeTestScope=false -DoutputFormat=json -DoutputName="$client.cdx" \
  clean package "$CYCLONEDX_MAVEN:makeBom"
own=$(sed -n '0,/<version>/s/.*<version>\(.*\)<\/version>.*/\1/p' "$root/clients/java/pom.xml")
for kind in "" -sources -javadoc; do
  cp "$build/$client-$own$kind.jar" "$folder/$client-$version$kind.jar"
done
cp "$root/clients/java/pom.xml" "$folder/$client-$version.pom"
cp "$build/$client.cdx.json" "$folder/$client-$version.cdx.json"
