#!/bin/sh
# Installs OpenLDAP's server and tools from the distribution when they are missing, without letting the distribution make
# a directory.
set -eu

PATH=$PATH:/usr/sbin
command -v slapd >/dev/null && command -v ldapsearch >/dev/null && exit 0

as_root() {
	if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

printf 'slapd slapd/no_configuration boolean true\n' | as_root debconf-set-selections
"$(dirname "$0")/../debian.sh" slapd ldap-utils
