package testenv

import "testing"

// Nginx starts nginx and returns the address it listens on. configure is given that address, of a free loopback port, and
// returns what a file of /etc/nginx/conf.d would hold. nginx is one process, keeps its files in a temporary folder and
// ends with the test, also when the test's process dies; a test that fails logs what it said. So do [Caddy] and
// [HAProxy].
func Nginx(t testing.TB, configure func(addr string) string) (addr string) {
	t.Helper()
	return startDaemon(t, daemon{
		program: "nginx", args: []string{"-p", ".", "-e", "stderr", "-c", "main.conf"}, ready: `using the "`,
		file: "site.conf", more: map[string]string{"main.conf": nginxMain},
	}, configure)
}

// nginxMain is what distributions put around the files of conf.d, with everything in nginx's own folder.
const nginxMain = `
daemon off;
master_process off;
pid nginx.pid;
error_log stderr notice;
events {}
http {
	access_log off;
	client_body_temp_path body;
	proxy_temp_path proxy;
	fastcgi_temp_path fastcgi;
	uwsgi_temp_path uwsgi;
	scgi_temp_path scgi;
	include site.conf;
}
`

// Caddy starts caddy with a Caddyfile that has no global options; see [Nginx].
func Caddy(t testing.TB, configure func(addr string) string) (addr string) {
	t.Helper()
	return startDaemon(t, daemon{
		program: "caddy", args: []string{"run", "--config", "Caddyfile"}, ready: "serving initial configuration",
		file: "Caddyfile",
	}, func(addr string) string { return "{\n\tadmin off\n}\n" + configure(addr) })
}

// HAProxy starts haproxy with a whole configuration; see [Nginx]. Its worker ends when the process that started it does.
func HAProxy(t testing.TB, configure func(addr string) string) (addr string) {
	t.Helper()
	return startDaemon(t, daemon{
		program: "haproxy", args: []string{"-W", "-f", "haproxy.cfg"}, ready: "Loading success", file: "haproxy.cfg",
	}, configure)
}
