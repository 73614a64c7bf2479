#!/bin/sh
# Installs nginx, caddy and haproxy from the distribution where they are missing.
set -eu

missing=
for name in nginx caddy haproxy; do
	# /usr/sbin is not in everybody's PATH; proxies.go looks there too.
	PATH=$PATH:/usr/sbin command -v "$name" >/dev/null || missing="$missing $name"
done
# shellcheck disable=SC2086 # a list of names
[ -z "$missing" ] || "$(dirname "$0")/../debian.sh" $missing
