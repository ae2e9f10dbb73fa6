#!/usr/bin/env bash
# Installs a release on a new local cluster, from its files only: install-test.sh FOLDER
#
# The files are verified as a user would, with the release's public key. A registry in the network of the node, in which `localhost` is
# the node, gets the image and the charts. The cluster, and the image that the unit runs, are those of the tests.
set -euo pipefail
# shellcheck source=release/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=release/tools.sh
. "$root/release/tools.sh"
crane_tool
krew_tool
require gpg=gnupg ip=iproute2 mvn=maven java=default-jdk-headless
cd "$root"
artifacts=$(cd "${1:-target/release-artifacts}" && pwd)
export CLUSTER=local CLUSTER_NAME="release-$$" KREW_NO_UPGRADE_CHECK=1
node="cu-$CLUSTER_NAME"
cluster="$(cargo metadata --locked --no-deps --format-version 1 | sed -E 's/.*"target_directory":"([^"]*)".*/\1/')/debug/cu-cluster"
work=$(mktemp -d)
end() {
  local status=$?
  [ -z "${registry_pid:-}" ] || kill "$registry_pid"
  "$cluster" down "$CLUSTER_NAME" || true
  # Their agents.
  gpgconf --homedir "$work/gnupg" --kill all 2> /dev/null || true
  gpgconf --homedir "$work/other" --kill all 2> /dev/null || true
  rm -rf "$work"
  exit $status
}
trap end EXIT
trap 'exit 1' INT TERM
step() {
  echo "[$SECONDS s] $*"
}

step "verify the files"
cp -R "$artifacts" "$work/release"
cd "$work/release"
export GNUPGHOME="$work/gnupg"
mkdir -m 700 "$GNUPGHOME"
gpg --batch --quiet --import release-key.asc
gpg --batch --quiet --verify SHA256SUMS.asc SHA256SUMS
sha256sum --check --strict --quiet SHA256SUMS
gpg --batch --export > "$work/keyring.gpg"
version=$(basename computing-unit-operator-image-*.oci.tar .oci.tar)
version=${version#computing-unit-operator-image-}
for chart in "$operator" texera-gateway; do
  helm verify "$chart-$version.tgz" --keyring "$work/keyring.gpg" > /dev/null
done

step "start a cluster"
(cd "$root" && "$cluster" up --apart && "$cluster" images engine)
KUBECONFIG=$("$cluster" list | awk -v name="$CLUSTER_NAME" '$1 == name { print $2 }')
url=$("$cluster" list | awk -v name="$CLUSTER_NAME" '$1 == name { print $3 }')
mkdir "$work/bin"
ln -s "$(readlink -f "$(dirname "$KUBECONFIG")/kc")" "$work/bin/kubectl"
export KUBECONFIG PATH="$work/bin:$PATH"

# The cluster of the tests has CRDs that are not of the release.
kubectl delete --ignore-not-found --wait -f crds.yaml > /dev/null

step "push the image and the charts to a registry"
mkdir "$work/blobs"
ip netns exec "$node" "$(command -v crane)" registry serve --address :5000 --disk "$work/blobs" > "$work/registry.log" 2>&1 &
registry_pid=$!
inside() {
  ip netns exec "$node" "$@"
}
inside curl --silent --show-error --fail --retry 50 --retry-connrefused --retry-delay 1 http://localhost:5000/v2/ > /dev/null
push() {
  mkdir "$work/layout"
  tar -C "$work/layout" -xf "$1"
  inside crane push "$work/layout" "localhost:5000/$2:$version" > /dev/null 2>&1
  rm -r "$work/layout"
}
push "$operator-image-$version.oci.tar" "$operator"
push "$operator-chart-$version.oci.tar" "charts/$operator"
push "texera-gateway-chart-$version.oci.tar" charts/texera-gateway
digest=$(inside crane digest "localhost:5000/$operator:$version")
grep -qF "$digest" RELEASE_NOTES.md || fail "the registry has another digest than the release notes: $digest"

step "reject a chart that is signed by another key"
GNUPGHOME="$work/other" && mkdir -m 700 "$GNUPGHOME"
gpg --batch --quiet --passphrase '' --quick-generate-key 'Another <another@example.org>' default default never 2> /dev/null
gpg --batch --export > "$work/other.gpg"
GNUPGHOME="$work/gnupg"
# What all chart commands have.
chart() {
  inside helm "$@" --plain-http --version "$version" --verify
}
! chart pull "oci://localhost:5000/charts/$operator" --destination "$work" --keyring "$work/other.gpg" > "$work/refused" 2>&1 ||
  fail "Helm accepts the chart with another keyring"
grep -q "unknown entity" "$work/refused" || fail "$(cat "$work/refused")"

step "install the operator from the registry"
kubectl create namespace computing-units > /dev/null
kubectl label namespace computing-units texera.apache.org/units=true > /dev/null
chart install "$operator" "oci://localhost:5000/charts/$operator" --keyring "$work/keyring.gpg" \
  --namespace computing-unit-system --create-namespace --set "image.repository=localhost:5000/$operator" \
  --set 'operator.watchNamespaces={computing-units}' --wait --timeout 3m > /dev/null
images=$(kubectl get pods --namespace computing-unit-system -o 'jsonpath={.items[*].spec.containers[*].image}')
for image in $images; do
  [ "$image" = "localhost:5000/$operator@$digest" ] || fail "a pod has the image $image"
done
# Of the other files, the API server says whether it would take them.
chart template texera oci://localhost:5000/charts/texera-gateway --keyring "$work/keyring.gpg" \
  --set units.pool.image=registry.invalid/engine > "$work/texera.yaml"
[ -s "$work/texera.yaml" ] || fail "the chart texera-gateway has no manifests"
kubectl apply --server-side --dry-run=server --force-conflicts -f crds.yaml > /dev/null
kubectl apply --server-side --dry-run=server --force-conflicts -f install.yaml > /dev/null

step "install the plugin with krew"
export KREW_ROOT="$work/krew"
krew install --manifest=cu.yaml --archive=kubectl-cu-linux-amd64.tar.gz > "$work/krew.log" 2>&1 || fail "$(cat "$work/krew.log")"
PATH="$KREW_ROOT/bin:$PATH"

step "create a unit and request it through the gateway"
kubectl apply -f - > /dev/null <<END
apiVersion: texera.apache.org/v1alpha1
kind: ComputingUnitPool
metadata: {name: default, namespace: computing-units}
spec:
  gatewayRef: {name: shared, namespace: envoy-gateway-system}
  routing:
    type: Query
    baseURL: $url
    query: {parameter: cuid, paths: [{type: PathPrefix, value: /wsapi}]}
  template:
    spec:
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: 5
      containers:
        - name: engine
          image: localhost/computing-unit-engine:dev
          ports: [{name: http, containerPort: 8085}]
          readinessProbe: {tcpSocket: {port: http}, periodSeconds: 1}
END
kubectl cu create proof --namespace computing-units --cuid 42 --owner ada --wait --timeout=2m
kubectl cu list --namespace computing-units
curl --silent --show-error --fail "$(kubectl cu url proof --namespace computing-units)"
echo

step "list the unit with the client for the JVM"
client=computing-unit-client-$version
mkdir "$work/java"
cat > "$work/java/Proof.java" <<END
import computingunits.client.ComputingUnits;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;

public class Proof {
  public static void main(String[] arguments) {
    try (var client = new KubernetesClientBuilder().withKubernetesSerialization(ComputingUnits.serialization()).build()) {
      new ComputingUnits(client, "computing-units").list().forEach(unit -> System.out.println(unit.getMetadata().getName()));
    }
  }
}
END
# The dependencies that the released pom has.
cp "$client.pom" "$work/java/pom.xml"
mvn --batch-mode --no-transfer-progress --quiet --file "$work/java/pom.xml" \
  org.apache.maven.plugins:maven-dependency-plugin:3.8.1:build-classpath -DincludeScope=runtime -Dmdep.outputFile="$work/java/classpath"
# fabric8 has to be told that the keys of the cluster are of elliptic curves.
listed=$(KUBERNETES_CERTS_CLIENT_KEY_ALGO=EC java -cp "$PWD/$client.jar:$(cat "$work/java/classpath")" "$work/java/Proof.java" 2> "$work/java/log") ||
  fail "the client fails: $(cat "$work/java/log")"
grep -qx proof <<< "$listed" || fail "the client does not list the unit: $listed"

step "delete the unit, and uninstall"
kubectl cu delete proof --namespace computing-units --wait
helm uninstall "$operator" --namespace computing-unit-system --wait > /dev/null
step "installed from $artifacts: version $version"
