#!/bin/sh
# Puts the definitions of ServiceMonitor and PrometheusRule in a folder of the user's cache that is named by the hash of
# ../operator, where operator.go looks. The Prometheus operator's types come from its module as ../operator pins it, and the
# definitions are made from them by the tool by which the operator makes its own.
set -eu

sha256() {
	if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d ' ' -f 1
}

source=$(cd "$(dirname "$0")/../operator" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/authd-test
target=$cache/operator-$(cd "$source" && cat go.mod go.sum | sha256)
kinds='servicemonitors prometheusrules'

[ -e "$target/done" ] && exit 0
mkdir -p "$target"
if command -v flock >/dev/null; then # one at a time; who waited finds it done
	exec 9>"$target/.lock"
	flock 9
	[ -e "$target/done" ] && exit 0
fi
cd "$source"
nice -n 5 go run -buildvcs=false sigs.k8s.io/controller-tools/cmd/controller-gen crd \
	paths=github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1 "output:crd:dir=$target/all"
for kind in $kinds; do
	mv "$target/all/monitoring.coreos.com_$kind.yaml" "$target/$kind.yaml"
done
rm -r "$target/all"
touch "$target/done"
