#!/bin/sh
# Makes the secrets of the cluster in a folder: secrets.sh FOLDER. Those that are there stay. Run by root, it gives each to
# the user whose service reads it; nobody else can.
set -eu
umask 077
cd "$1"

authd=65532 redis=999 postgres=999

# keep NAME USER: what comes from standard input, unless the file is there.
keep() {
	[ -s "$1" ] && return
	cat >"$1.new"
	[ "$(id -u)" -ne 0 ] || chown "$2:$2" "$1.new"
	mv "$1.new" "$1"
}

# letters: 43 random characters that mean nothing to anybody.
letters() {
	head -c 32 /dev/urandom | base64 | tr -d '=\n' | tr '+/' '-_'
}

hash() {
	printf %s "$1" | sha256sum | cut -d ' ' -f 1
}

head -c 32 /dev/urandom | base64 | keep kek "$authd"

letters | keep users-password "$authd"
keep database-password "$postgres" <users-password

if [ ! -s redis.acl ]; then
	letters | keep redis-password "$authd"
	replica=$(letters) sentinel=$(letters)
	printf 'masteruser replica\nmasterauth %s\n' "$replica" | keep replication.conf "$redis"
	printf 'sentinel auth-user authd sentinel\nsentinel auth-pass authd %s\n' "$sentinel" | keep sentinel.conf "$redis"
	# authd's rights are those of docs/redis.md; replicas and sentinels have what the Redis documentation gives them.
	keep redis.acl "$redis" <<-END
		user default on nopass resetkeys resetchannels -@all +ping
		user authd on #$(hash "$(cat redis-password)") resetkeys resetchannels -@all ~{authd:rev}:* ~authd:s:* ~authd:u:* ~authd:limit:* ~authd:dpop:* ~authd:keys ~authd:election:* ~{authd:held}* +eval +evalsha +eval_ro +evalsha_ro +info +time +wait +get +set +del +pexpire +pexpireat +hset +hsetnx +hget +hmget +hgetall +hkeys +hdel +hincrby +zadd +zcard +zscore +zmscore +zscan +zrange +zrangebyscore +zrem +zremrangebyscore +zremrangebyrank +xadd +xread +xrange +xtrim
		user replica on #$(hash "$replica") resetkeys resetchannels -@all +psync +replconf +ping
		user sentinel on #$(hash "$sentinel") resetkeys allchannels -@all +multi +slaveof +ping +exec +subscribe +config|rewrite +role +publish +info +client|setname +client|kill +script|kill
	END
fi
echo "the secrets are in $1"
