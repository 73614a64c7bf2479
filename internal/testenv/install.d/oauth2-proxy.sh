#!/bin/sh
# Builds oauth2-proxy from source as ../oauth2proxy/go.mod pins it, in a folder of the user's cache that is named by the
# hash of ../oauth2proxy, where oauth2proxy.go looks. The first build takes some minutes of processor time.
set -eu

sha256() {
	if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d ' ' -f 1
}

source=$(cd "$(dirname "$0")/../oauth2proxy" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/authd-test
target=$cache/oauth2proxy-$(cd "$source" && cat go.mod go.sum | sha256)

[ -x "$target/oauth2-proxy" ] && exit 0
mkdir -p "$target"
if command -v flock >/dev/null; then # one build at a time; who waited finds it done
	exec 9>"$target/.lock"
	flock 9
	[ -x "$target/oauth2-proxy" ] && exit 0
fi
cd "$source"
CGO_ENABLED=0 nice -n 5 go build -buildvcs=false -ldflags '-s -w' -o "$target/.oauth2-proxy" github.com/oauth2-proxy/oauth2-proxy/v7
mv "$target/.oauth2-proxy" "$target/oauth2-proxy"
