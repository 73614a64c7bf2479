#!/bin/sh
# Installs nginx, caddy and haproxy from the distribution where they are missing, without letting the distribution start
# services of its own: tests start their proxies themselves.
set -eu

missing=
for name in nginx caddy haproxy; do
	# /usr/sbin is not in everybody's PATH; proxies.go looks there too.
	PATH=$PATH:/usr/sbin command -v "$name" >/dev/null || missing="$missing $name"
done
[ -z "$missing" ] && exit 0

as_root() {
	if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# invoke-rc.d asks this file whether services may start; 101 says no. One that is there already stays.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	trap 'as_root rm -f "$policy"' EXIT
	printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
	as_root chmod 755 "$policy"
fi

as_root apt-get update -qq
# shellcheck disable=SC2086 # a list of names
as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
