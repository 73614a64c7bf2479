#!/bin/sh
# Puts helm in a folder of the user's cache that is named by the hash of ../helm, where helm.go looks: that of $PATH when
# it is new enough, otherwise built from source as ../helm pins it. The first build takes some minutes of processor time.
set -eu

sha256() {
	if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d ' ' -f 1
}

source=$(cd "$(dirname "$0")/../helm" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/authd-test
target=$cache/helm-$(cd "$source" && cat go.mod go.sum | sha256)

# link_installed links what is there already; Helm 4 is the first that applies on the server's side.
link_installed() {
	case $(helm version --template '{{.Version}}' 2>/dev/null) in
	v[4-9]*) ln -sf "$(command -v helm)" "$target/helm" ;;
	*) return 1 ;;
	esac
}

build() {
	version=$(sed -n 's,.*helm.sh/helm/v4 v\([0-9.]*\).*,\1,p' "$source/go.mod")
	stamp=helm.sh/helm/v4/internal/version.version
	cd "$source"
	CGO_ENABLED=0 nice -n 5 go build -buildvcs=false -ldflags "-s -w -X $stamp=v$version" -o "$target/.helm" helm.sh/helm/v4/cmd/helm
	mv "$target/.helm" "$target/helm"
}

[ -x "$target/helm" ] && exit 0
mkdir -p "$target"
if command -v flock >/dev/null; then # one build at a time; who waited finds it done
	exec 9>"$target/.lock"
	flock 9
	[ -x "$target/helm" ] && exit 0
fi
link_installed || build
