#!/bin/sh
# Installs PostgreSQL from the distribution when it is missing, without letting the distribution make a cluster or start a
# service of its own: tests start their servers themselves.
set -eu

command -v postgres >/dev/null && exit 0
for binary in /usr/lib/postgresql/*/bin/postgres; do
	[ -x "$binary" ] && exit 0
done

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

install() { as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"; }

as_root apt-get update -qq
install postgresql-common
as_root sed -i 's/^#* *create_main_cluster *=.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
install postgresql
