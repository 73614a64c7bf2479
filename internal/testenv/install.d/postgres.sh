#!/bin/sh
# Installs PostgreSQL from the distribution when it is missing, without letting the distribution make a cluster.
set -eu

command -v postgres >/dev/null && exit 0
for binary in /usr/lib/postgresql/*/bin/postgres; do
	[ -x "$binary" ] && exit 0
done

as_root() {
	if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

debian=$(dirname "$0")/../debian.sh
"$debian" postgresql-common
as_root sed -i 's/^#* *create_main_cluster *=.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
"$debian" postgresql
