package secretstore_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/keys/secretstore"
)

// A leader that is frozen between its read and its write, and wakes when another leads, changes nothing.
func TestFrozenWriter(t *testing.T) {
	p := newPlace(t)
	writing, woken := make(chan struct{}), make(chan struct{})
	var once sync.Once
	frozen := p.store(t, secretstore.Config{}, tampered(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
		if req.Method == http.MethodPut && strings.Contains(req.URL.Path, "/secrets/") {
			once.Do(func() { close(writing); <-woken })
		}
		return next.RoundTrip(req)
	}))
	other := p.store(t, secretstore.Config{})
	term := claim(t, other)
	ring, version := load(t, other)

	outcome := make(chan error)
	go func() {
		_, err := frozen.Update(t.Context(), term, version, ring)
		outcome <- err
	}()
	<-writing
	next := claim(t, other)
	_, current := load(t, other)
	close(woken)
	if err := <-outcome; !errors.Is(err, keys.ErrStale) {
		t.Errorf("the write of the frozen leader: %v, want ErrStale", err)
	}
	if ring, now := load(t, other); now != current || ring.Term != next {
		t.Errorf("the ring is at term %d, version %s; want %d, %s", ring.Term, now, next, current)
	}
}

// A write that the client sends again, as it has lost the answer, finds itself done.
func TestRepeatedWrite(t *testing.T) {
	p := newPlace(t)
	s := p.store(t, secretstore.Config{}, tampered(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
		if req.Method != http.MethodPut {
			return next.RoundTrip(req)
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		first := req.Clone(req.Context())
		first.Body = io.NopCloser(bytes.NewReader(body))
		resp, err := next.RoundTrip(first)
		if err != nil {
			return nil, err
		}
		_ = resp.Body.Close()
		req.Body = io.NopCloser(bytes.NewReader(body))
		return next.RoundTrip(req) // a conflict with itself
	}))
	for want := keys.Term(1); want <= 2; want++ {
		if term, err := s.Claim(t.Context(), "a"); term != want || err != nil {
			t.Errorf("term %d, %v; want %d", term, err, want)
		}
	}
}

// Somebody who annotates the Secret all the time makes no writer stale and no watcher load, and loses nothing.
func TestAnnotationsDoNotDisturb(t *testing.T) {
	p := newPlace(t)
	admin := p.admin(t)
	s := p.store(t, secretstore.Config{})
	term := claim(t, s)
	versions, err := s.Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ring, version := load(t, s)
	await(t, versions, version)
	annotate := func(i int) error {
		secret, err := admin.Get(t.Context(), "authd-keys", metav1.GetOptions{})
		if err != nil {
			return err
		}
		metav1.SetMetaDataAnnotation(&secret.ObjectMeta, "example.com/count", strconv.Itoa(i))
		metav1.SetMetaDataLabel(&secret.ObjectMeta, "team", "identity")
		_, err = admin.Update(t.Context(), secret, metav1.UpdateOptions{})
		return err
	}
	if err := annotate(-1); err != nil {
		t.Fatal(err)
	}
	if _, now := load(t, s); now != version {
		t.Errorf("an annotation moved the version from %s to %s", version, now)
	}
	if _, err := s.Update(t.Context(), term, version, ring); err != nil {
		t.Errorf("a write on what was read before the annotation: %v", err)
	}

	stop, done := make(chan struct{}), make(chan int)
	go func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				done <- i
				return
			default:
			}
			if err := annotate(i); err != nil && !apierrors.IsConflict(err) {
				t.Errorf("annotating: %v", err)
			}
		}
	}()
	const writes = 30
	for range writes {
		ring, version := load(t, s)
		if _, err := s.Update(t.Context(), term, version, ring); err != nil {
			t.Errorf("a write beside annotations: %v", err)
		}
	}
	close(stop)
	t.Logf("%d annotations beside %d writes", <-done, writes)
	secret, err := admin.Get(t.Context(), "authd-keys", metav1.GetOptions{})
	if err != nil || secret.Annotations["example.com/count"] == "" || secret.Labels["team"] != "identity" {
		t.Errorf("annotations %v, labels %v, %v: something was lost", secret.Annotations, secret.Labels, err)
	}
	_, version = load(t, s)
	await(t, versions, version)
}

// A Secret that has lost the ring gets it back from whoever has seen it; a newcomer sees none.
func TestLostRingIsPutBack(t *testing.T) {
	for name, lose := range map[string]func(t *testing.T, p place){
		"made again": func(t *testing.T, p place) {
			if err := p.admin(t).Delete(t.Context(), "authd-keys", metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
			p.server.Apply(t, p.namespace)
		},
		"emptied": func(t *testing.T, p place) {
			secret, err := p.admin(t).Get(t.Context(), "authd-keys", metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			secret.Data = nil
			if _, err := p.admin(t).Update(t.Context(), secret, metav1.UpdateOptions{}); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			s, newcomer := p.store(t, secretstore.Config{}), p.store(t, secretstore.Config{})
			term := claim(t, s)
			before, version := load(t, s)
			lose(t, p)
			if ring, v := load(t, newcomer); v != "" {
				t.Errorf("who has seen nothing loads %v", ring)
			}
			if _, err := s.Update(t.Context(), term, version, before); !errors.Is(err, keys.ErrStale) {
				t.Errorf("a write on what was read before the loss: %v, want ErrStale", err)
			}
			after, _ := load(t, newcomer)
			if after.Term != term || after.Holder != before.Holder {
				t.Errorf("put back %v, want %v", after, before)
			}
			if next := claim(t, s); next != term+1 {
				t.Errorf("the next term is %d, want %d", next, term+1)
			}
		})
	}
}

// Of many that find the ring lost one puts it back, and the others see that it is there.
func TestLostRingIsPutBackOnce(t *testing.T) {
	p := newPlace(t)
	admin := p.admin(t)
	stores := make([]keys.Store, 8)
	for i := range stores {
		stores[i] = p.store(t, secretstore.Config{})
	}
	claim(t, stores[0])
	for range 5 {
		for _, s := range stores {
			load(t, s)
		}
		if err := admin.Delete(t.Context(), "authd-keys", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		p.server.Apply(t, p.namespace)
		var wg sync.WaitGroup
		versions := make([]keys.Version, len(stores))
		for i, s := range stores {
			wg.Go(func() {
				ring, v, err := s.Load(t.Context())
				versions[i] = v
				if err != nil || ring.Term != 1 {
					t.Errorf("got %v, %v; want the ring of term 1", ring, err)
				}
			})
		}
		wg.Wait()
		for _, v := range versions {
			if v != versions[0] {
				t.Errorf("versions %v: it was put back more than once", versions)
			}
		}
	}
}

// A writer who knew the Secret before it was deleted is stale, even if its content was restored from a backup.
func TestRestoredSecret(t *testing.T) {
	p := newPlace(t)
	admin := p.admin(t)
	s := p.store(t, secretstore.Config{})
	term := claim(t, s)
	ring, version := load(t, s)
	backup, err := admin.Get(t.Context(), "authd-keys", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := admin.Delete(t.Context(), "authd-keys", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	backup.ResourceVersion, backup.UID = "", ""
	if _, err := admin.Create(t.Context(), backup, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Update(t.Context(), term, version, ring); !errors.Is(err, keys.ErrStale) {
		t.Errorf("a write on the deleted Secret's version: %v, want ErrStale", err)
	}
	restored, now := load(t, s)
	if restored.Term != term || now == version {
		t.Errorf("restored term %d with version %s; want term %d and another version", restored.Term, now, term)
	}
}

// An old sight of the ring is not put back, and not taken for a new installation either.
func TestOldRingIsNotPutBack(t *testing.T) {
	p := newPlace(t)
	now := time.Unix(1_700_000_000, 0)
	s := p.store(t, secretstore.Config{ViewAge: time.Minute, Now: func() time.Time { return now }})
	claim(t, s)
	if err := p.admin(t).Delete(t.Context(), "authd-keys", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	p.server.Apply(t, p.namespace)
	now = now.Add(time.Minute + 1)
	_, _, err := s.Load(t.Context())
	if !errors.Is(err, keys.ErrUnavailable) || !strings.Contains(err.Error(), "lost the key ring") {
		t.Errorf("load: %v, want ErrUnavailable, which says why", err)
	}
	if _, err := s.Claim(t.Context(), "somebody"); !errors.Is(err, keys.ErrUnavailable) {
		t.Errorf("claim: %v, want ErrUnavailable", err)
	}
	secret, err := p.admin(t).Get(t.Context(), "authd-keys", metav1.GetOptions{})
	if err != nil || len(secret.Data) != 0 {
		t.Errorf("the Secret holds %d fields, %v; want it untouched", len(secret.Data), err)
	}
}
