#!/bin/sh
# Installs npm's openid-client as ../openidclient/package-lock.json pins it. openidclient.go uses it.
exec "$(dirname "$0")/../npm.sh" openidclient
