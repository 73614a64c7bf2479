#!/bin/sh
# Installs npm's jose as ../jose/package-lock.json pins it. jose.go uses it.
exec "$(dirname "$0")/../npm.sh" jose
