#!/bin/sh
# Starts the sentinel NAME: sentinel.sh NAME. A sentinel keeps what it learns in its configuration.
set -eu

file=/data/sentinel.conf
if [ ! -s "$file" ]; then
	umask 077
	cat >"$file.new" - /run/secrets/sentinel.conf <<-END
		bind $1
		port 26379
		protected-mode no
		dir /data
		sentinel resolve-hostnames yes
		sentinel announce-hostnames yes
		sentinel announce-ip $1
		sentinel monitor authd redis-1 6379 2
		sentinel down-after-milliseconds authd 1000
		sentinel failover-timeout authd 5000
		sentinel parallel-syncs authd 2
	END
	mv "$file.new" "$file"
fi
exec redis-server "$file" --sentinel
