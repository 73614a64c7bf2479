#!/bin/sh
# Installs redis-server from the distribution when it is missing.
set -eu

command -v redis-server >/dev/null || "$(dirname "$0")/../debian.sh" redis-server
