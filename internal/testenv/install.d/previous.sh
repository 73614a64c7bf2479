#!/bin/sh
# Builds authd and the example service of the previous release, from the commit in ../previous-release, in a folder of the
# user's cache that is named by it, where previous.go looks. docs/upgrades.md says what they are for, and when to change the
# commit. The first build takes about a minute of processor time.
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
commit=$(cat "$here/previous-release")
target=${XDG_CACHE_HOME:-$HOME/.cache}/authd-test/previous-$commit

complete() { [ -x "$target/authd" ] && [ -x "$target/orders" ]; }

complete && exit 0
mkdir -p "$target"
if command -v flock >/dev/null; then # one build at a time; who waited finds it done
	exec 9>"$target/.lock"
	flock 9
	complete && exit 0
fi
cd "$here"
git cat-file -e "$commit^{commit}" 2>/dev/null || git fetch --quiet --depth 1 origin "$commit" || {
	echo "previous.sh: commit $commit of the previous release is neither in this clone nor to be had from origin;" >&2
	echo "previous.sh: run git fetch --unshallow" >&2
	exit 1
}
source=$(mktemp -d)
trap 'rm -rf "$source"' EXIT
git -C "$(git rev-parse --show-toplevel)" archive "$commit" | tar -x -C "$source"
mkdir "$target/.build.$$"
(cd "$source" && CGO_ENABLED=0 nice -n 5 go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=previous" \
	-o "$target/.build.$$/" ./cmd/authd ./examples/orders)
mv "$target/.build.$$/orders" "$target/.build.$$/authd" "$target/"
rmdir "$target/.build.$$"
