package hostileissuer

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Says answers a body with a status.
func Says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body)) // the client may be gone
	}
}

// With sets a header of whatever the answer is.
func With(name, value string, answer http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(name, value)
		answer.ServeHTTP(w, r)
	}
}

// Hang answers nothing until the client is gone.
func Hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// Drop closes the connection without an answer.
func Drop(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// Stall sends the first half of body and then nothing until the client is gone.
func Stall(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		half(w, body)
		<-r.Context().Done()
	}
}

// CutOff sends the first half of body and then closes the connection.
func CutOff(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		half(w, body)
		panic(http.ErrAbortHandler)
	}
}

func half(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write([]byte(body[:len(body)/2]))
	_ = http.NewResponseController(w).Flush()
}

// Drip sends a space every half second and never ends.
func Drip(w http.ResponseWriter, r *http.Request) {
	tick := time.NewTicker(time.Second / 2)
	defer tick.Stop()
	for {
		_, _ = w.Write([]byte(" "))
		_ = http.NewResponseController(w).Flush()
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
	}
}

// Padded sends that many bytes of white space, or as many as are taken, and then body.
func Padded(size int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		block := bytes.Repeat([]byte(" "), 64<<10)
		for left := size; left > 0; left -= len(block) {
			if _, err := w.Write(block[:min(left, len(block))]); err != nil {
				return
			}
		}
		_, _ = w.Write([]byte(body))
	}
}

// GzipBomb sends that many bytes of white space and then body, compressed to about a thousandth.
func GzipBomb(size int, body string) http.HandlerFunc {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	for block := bytes.Repeat([]byte(" "), 64<<10); size > 0; size -= len(block) {
		_, _ = z.Write(block[:min(size, len(block))]) // to memory: cannot fail
	}
	_, _ = z.Write([]byte(body))
	_ = z.Close()
	return With("Content-Encoding", "gzip", Says(http.StatusOK, packed.String()))
}

// Nested is a JSON array in an array, that many deep.
func Nested(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }

// Unchanged answers status 304 to those who ask whether something changed, and what answer answers to others.
func Unchanged(etag string, answer http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", etag)
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		answer.ServeHTTP(w, r)
	}
}
