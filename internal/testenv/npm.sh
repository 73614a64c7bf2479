#!/bin/sh
# Installs Node.js, where it is missing, and the npm packages that the package-lock.json of a folder beside this script pins,
# in a folder of the user's cache that is named by the hash of that file: npm.sh FOLDER. npm.go looks there.
set -eu

as_root() {
	if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

sha256() {
	if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d ' ' -f 1
}

name=$1
source=$(cd "$(dirname "$0")/$name" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/authd-test
target=$cache/$name-$(sha256 <"$source/package-lock.json")

command -v node >/dev/null && [ -d "$target" ] && exit 0

if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
	as_root apt-get update -qq
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nodejs npm
fi

mkdir -p "$cache"
work=$(mktemp -d "$cache/installing.XXXXXX")
trap 'rm -rf "$work"' EXIT
cp "$source/package.json" "$source/package-lock.json" "$work"
(cd "$work" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
mv "$work" "$target" 2>/dev/null || [ -d "$target" ] # somebody else may have been quicker
