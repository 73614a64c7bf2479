#!/bin/sh
# Puts kube-apiserver, etcd and kubectl in a folder of the user's cache that is named by the hash of ../kubernetes, where
# kubernetes_binaries.go looks: those of $KUBEBUILDER_ASSETS or of $PATH when they are new enough, otherwise built from
# source as ../kubernetes pins it. The first build takes some ten minutes of processor time.
set -eu

sha256() {
	if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d ' ' -f 1
}

source=$(cd "$(dirname "$0")/../kubernetes" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/authd-test
target=$cache/kubernetes-$(cd "$source" && cat go.mod go.sum ./*/main.go | sha256)
names='etcd kubectl kube-apiserver'

complete() {
	for name in $names; do [ -x "$target/$name" ] || return 1; done
}

# new_enough MINOR COMMAND...: does the command, asked for its version, answer X.MINOR.Y or a later minor version?
new_enough() {
	least=$1
	shift
	minor=$("$@" 2>/dev/null | sed -n '1s/^[^0-9]*[0-9]\.\([0-9]*\)\..*/\1/p')
	[ "${minor:-0}" -ge "$least" ]
}

# link_installed links what is there already; Kubernetes 1.34 is the first with a stable AuthenticationConfiguration.
link_installed() {
	PATH=${KUBEBUILDER_ASSETS:+$KUBEBUILDER_ASSETS:}$PATH
	new_enough 5 etcd --version && new_enough 34 kubectl version --client && new_enough 34 kube-apiserver --version ||
		return 1
	for name in $names; do ln -sf "$(command -v "$name")" "$target/$name"; done
}

build() {
	version=$(sed -n 's,.*k8s.io/kubernetes v\(1\.[0-9]*\.[0-9]*\)$,\1,p' "$source/go.mod")
	minor=${version#1.} minor=${minor%.*}
	stamp=k8s.io/component-base/version
	flags="-s -w -X $stamp.gitVersion=v$version -X $stamp.gitMajor=1 -X $stamp.gitMinor=$minor -X $stamp.gitTreeState=clean"
	for name in $names; do # etcd first: it takes a minute, and is enough for some
		[ -x "$target/$name" ] && continue
		(cd "$source" && CGO_ENABLED=0 nice -n 5 go build -buildvcs=false -ldflags "$flags" -o "$target/.$name" "./$name")
		mv "$target/.$name" "$target/$name"
	done
}

complete && exit 0
mkdir -p "$target"
if command -v flock >/dev/null; then # one build at a time; who waited finds it done
	exec 9>"$target/.lock"
	flock 9
	complete && exit 0
fi
(link_installed) || build
