#!/usr/bin/env bash
# Creates a kind or k3d cluster, builds the images of this repository, loads them, and installs the operator with a pool and a
# unit. Nothing of this repository is pulled from a registry. docs/quickstart.md explains the steps.
set -euo pipefail

usage() {
  cat <<'END'
Usage: hack/quickstart.sh [--dry-run] [--cluster NAME] [--port PORT] kind|k3d

  --dry-run        print the commands instead of running them
  --cluster NAME   name of the cluster (default: computing-units)
  --port PORT      local port of the gateway (default: 8880)
END
}

# Prints the reason and the usage, and exits.
wrong() { echo "$1" >&2; usage >&2; exit 2; }

dry_run=
kind=
cluster=computing-units
port=8880
while [ $# -gt 0 ]; do
  case $1 in
    --dry-run) dry_run=1 ;;
    --cluster) cluster=${2:-}; [ -n "$cluster" ] || wrong "--cluster needs a name"; shift ;;
    --port) port=${2:-}; [ -n "$port" ] || wrong "--port needs a number"; shift ;;
    kind | k3d) kind=$1 ;;
    -h | --help) usage; exit 0 ;;
    *) wrong "unknown argument: $1" ;;
  esac
  shift
done
[ -n "$kind" ] || wrong "name the kind of cluster: kind or k3d"

context=$kind-$cluster
operator=localhost/computing-unit-operator
engine=localhost/computing-unit-engine
# A tag other than `latest`, so that nodes do not try to pull the image.
tag=dev
envoy_gateway=v1.9.1
cd "$(dirname "$0")/.."

step() { printf '\n# %s\n' "$1"; }

# Prints a command line, and runs it unless this is a dry run.
run() {
  printf '%s\n' "$1"
  [ -n "$dry_run" ] || eval "$1"
}

if [ -z "$dry_run" ]; then
  for program in docker "$kind" kubectl helm; do
    command -v "$program" > /dev/null || { echo "$program is not in PATH" >&2; exit 1; }
  done
  docker info > /dev/null || { echo "the Docker engine is not running" >&2; exit 1; }
fi

step "Create the cluster"
case $kind in
  kind) run "kind create cluster --name $cluster --wait 2m" ;;
  # Envoy Gateway takes the place of Traefik.
  k3d) run "k3d cluster create $cluster --k3s-arg '--disable=traefik@server:0' --wait" ;;
esac

step "Build the images and load them into the cluster"
run "docker build --tag $operator:$tag ."
run "docker build --tag $engine:$tag --target engine ."
case $kind in
  kind) run "kind load docker-image $operator:$tag $engine:$tag --name $cluster" ;;
  k3d) run "k3d image import $operator:$tag $engine:$tag --cluster $cluster" ;;
esac

step "Install Envoy Gateway, and create a Gateway and the namespace of the units"
run "helm install eg oci://docker.io/envoyproxy/gateway-helm --version $envoy_gateway --kube-context $context --namespace envoy-gateway-system --create-namespace --wait"
run "kubectl --context $context apply -f config/samples/gateway.yaml -f config/samples/namespace.yaml"

step "Install the operator"
run "helm install computing-unit-operator charts/computing-unit-operator --kube-context $context --namespace computing-unit-system --create-namespace --set image.repository=$operator --set image.tag=$tag --set 'operator.watchNamespaces={computing-units}' --wait"

step "Create a pool with the image, and a unit"
run "sed 's|registry.invalid/computing-unit-engine|$engine|' config/samples/pool-query.yaml | kubectl --context $context apply -f -"
run "kubectl --context $context -n computing-units patch computingunitpool default --type=merge --patch '{\"spec\": {\"routing\": {\"baseURL\": \"http://localhost:$port\"}}}'"
run "kubectl --context $context apply -f config/samples/unit-small.yaml"
run "kubectl --context $context -n computing-units wait computingunit/computing-unit-42 --for=condition=Ready --timeout=5m"

cat <<END

# Forward a local port to the gateway. Leave this running, and open another shell:
kubectl --context $context -n envoy-gateway-system port-forward \$(kubectl --context $context -n envoy-gateway-system get service -o name -l gateway.envoyproxy.io/owning-gateway-name=shared) $port:80

# Request the unit:
curl -i 'http://localhost:$port/wsapi?cuid=42'

# Remove the cluster:
$kind $([ "$kind" = kind ] && echo "delete cluster --name" || echo "cluster delete") $cluster
END
