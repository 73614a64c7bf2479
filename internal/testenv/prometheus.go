package testenv

import "testing"

// Prometheus starts Prometheus with a configuration, and further files that it names; see [Nginx].
func Prometheus(t testing.TB, config string, files map[string]string) (addr string) {
	t.Helper()
	return startDaemon(t, daemon{
		program: "prometheus", args: []string{"--config.file=prometheus.yaml", "--storage.tsdb.path=data", "--log.level=info"},
		ready: "Server is ready to receive web requests", file: "prometheus.yaml", more: files, listen: "--web.listen-address",
	}, func(string) string { return config })
}
