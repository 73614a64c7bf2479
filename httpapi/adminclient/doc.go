// Package adminclient is a Go client of authd's admin API. It speaks over any [net/http.RoundTripper]: the network's, or
// [InProcess], which asks a server of the same process, so that a command works the same whether a server runs or not.
package adminclient
