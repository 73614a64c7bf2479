#!/bin/sh
# Installs from the distribution, when one is missing, the programs beside authd that docs/users.md moves and makes users with.
set -eu

command -v sqlite3 >/dev/null && command -v htpasswd >/dev/null && exit 0
exec "$(dirname "$0")/../debian.sh" sqlite3 apache2-utils
