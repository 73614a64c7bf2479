package keys_test

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/authd-project/authd/internal/schema"
	"github.com/authd-project/authd/keys"
)

// richRing has keys in every state and of the given algorithm. RSA keys take long to make; the ring with those was made
// by this function once.
func richRing(t testing.TB, alg string) keys.Ring {
	t.Helper()
	if alg == "RS256" {
		return readRing(t, "testdata/ring-rs256.json")
	}
	p := keys.Policy{Algorithm: alg}.WithDefaults()
	r := turn(t, p, epochStart, keys.Ring{Term: 7, Holder: "authd-0"})
	r = turn(t, p, epochStart.Add(p.RotateEvery), r)
	revoked := r.Keys[0]
	revoked.State, revoked.Private = keys.Revoked, nil
	r.Keys = append([]keys.Key{revoked}, r.Keys[1:]...)
	return r
}

func readRing(t testing.TB, file string) keys.Ring {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	r, err := keys.NewCodec().Unmarshal(data)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestCodecRoundTrip(t *testing.T) {
	for name, codec := range map[string]*keys.Codec{"plain": keys.NewCodec(), "sealed": keys.NewCodec(keys.GenerateKEK())} {
		for _, alg := range keys.Algorithms() {
			want := richRing(t, alg)
			data, err := codec.Marshal(want)
			if err != nil {
				t.Fatal(err)
			}
			got, err := codec.Unmarshal(data)
			if err != nil {
				t.Fatalf("%s, %s: %v", name, alg, err)
			}
			if !reflect.DeepEqual(withoutPrivate(got), withoutPrivate(want)) {
				t.Errorf("%s, %s: got %v, want %v", name, alg, got, want)
			}
			for i, k := range want.Keys {
				if k.State == keys.Revoked {
					continue
				}
				if private := k.Private.(interface{ Equal(crypto.PrivateKey) bool }); !private.Equal(got.Keys[i].Private) {
					t.Errorf("%s, %s: another private key came back for %v", name, alg, k)
				}
			}
		}
	}
}

// withoutPrivate leaves what reflect.DeepEqual can compare.
func withoutPrivate(r keys.Ring) keys.Ring {
	out := r
	out.Keys, out.KEK = nil, ""
	for _, k := range r.Keys {
		k.Private = nil
		out.Keys = append(out.Keys, k)
	}
	return out
}

func TestCodecOfAnEmptyRing(t *testing.T) {
	codec := keys.NewCodec(keys.GenerateKEK())
	data, err := codec.Marshal(keys.Ring{Term: 1, Holder: "first"})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := codec.Unmarshal(data); err != nil || r.Term != 1 || r.Holder != "first" || r.Epoch != "" {
		t.Errorf("got %v, %v", r, err)
	}
}

// An operator can read the states; nobody can read a key.
func TestSealedDocumentShowsStatesOnly(t *testing.T) {
	r := richRing(t, "EdDSA")
	data, err := keys.NewCodec(keys.GenerateKEK()).Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{r.Epoch, r.Keys[1].ID, `"state":"active"`, `"holder":"authd-0"`, `"kek":"`} {
		if !bytes.Contains(data, []byte(want)) {
			t.Errorf("%s is not in the document", want)
		}
	}
	plain, err := keys.NewCodec().Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	secrets := 0
	for _, secret := range secretsOf(t, plain) {
		secrets++
		if bytes.Contains(data, []byte(secret)) {
			t.Error("a secret stands in the sealed document")
		}
	}
	if secrets != 5 { // two signing keys and three MAC keys
		t.Errorf("looked for %d secrets, want 5", secrets)
	}
}

// secretsOf returns the base64 texts of a plain document's secrets.
func secretsOf(t *testing.T, plain []byte) (secrets []string) {
	t.Helper()
	var doc struct {
		Keys []struct{ Private string }
		MACs []struct{ Secret string }
	}
	if err := json.Unmarshal(plain, &doc); err != nil {
		t.Fatal(err)
	}
	for _, k := range doc.Keys {
		if k.Private != "" {
			secrets = append(secrets, k.Private)
		}
	}
	for _, k := range doc.MACs {
		secrets = append(secrets, k.Secret)
	}
	return secrets
}

func TestKEKRotation(t *testing.T) {
	old, next, other := keys.GenerateKEK(), keys.GenerateKEK(), keys.GenerateKEK()
	r := richRing(t, "EdDSA")
	data, err := keys.NewCodec(old).Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	both := keys.NewCodec(next, old)
	opened, err := both.Unmarshal(data)
	if err != nil {
		t.Fatalf("the old KEK does not open in second place: %v", err)
	}
	if data, err = both.Marshal(opened); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.NewCodec(next).Unmarshal(data); err != nil {
		t.Errorf("the first KEK did not seal: %v", err)
	}
	for name, codec := range map[string]*keys.Codec{"the old KEK": keys.NewCodec(old), "another KEK": keys.NewCodec(other), "no KEK": keys.NewCodec()} {
		_, err := codec.Unmarshal(data)
		if err == nil || !strings.Contains(err.Error(), next.ID()) {
			t.Errorf("%s: got %v, want an error that names the KEK %s", name, err, next.ID())
		}
	}
}

// KEKs are replaced while rings are sealed and opened: each document is under one of them.
func TestReplaceKEKs(t *testing.T) {
	old, next := keys.GenerateKEK(), keys.GenerateKEK()
	codec, r := keys.NewCodec(old), richRing(t, "EdDSA")
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				data, err := codec.Marshal(r)
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := codec.Unmarshal(data); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 100 {
		codec.Replace(old, next)
		codec.Replace(next, old)
	}
	close(stop)
	wg.Wait()
	data, err := codec.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	codec.Replace(old)
	if _, err := codec.Unmarshal(data); err == nil {
		t.Error("a KEK that was taken away still opens")
	}
}

// Whoever can write to the store must not get in a key of their own, or one key in another's place (T23).
func TestCodecRefusesWhatWasTamperedWith(t *testing.T) {
	kek := keys.GenerateKEK()
	codec := keys.NewCodec(kek)
	data, err := codec.Marshal(richRing(t, "EdDSA"))
	if err != nil {
		t.Fatal(err)
	}
	another, err := codec.Marshal(richRing(t, "EdDSA"))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := keys.NewCodec().Marshal(richRing(t, "EdDSA"))
	if err != nil {
		t.Fatal(err)
	}
	type object = map[string]any
	nth := func(d object, list string, i int) object { return d[list].([]any)[i].(object) }
	for name, change := range map[string]func(doc, other, open object){
		"two keys swapped": func(d, _, _ object) {
			a, b := nth(d, "keys", 1), nth(d, "keys", 2)
			a["private"], b["private"] = b["private"], a["private"]
		},
		"two MAC keys swapped": func(d, _, _ object) {
			a, b := nth(d, "macs", 1), nth(d, "macs", 2)
			a["secret"], b["secret"] = b["secret"], a["secret"]
		},
		"a MAC key as a signing key": func(d, _, _ object) { nth(d, "keys", 1)["private"] = nth(d, "macs", 1)["secret"] },
		"a key renamed":              func(d, _, _ object) { nth(d, "keys", 1)["kid"] = nth(d, "keys", 0)["kid"] },
		"a kid of another ring":      func(d, o, _ object) { nth(d, "keys", 1)["kid"] = nth(o, "keys", 1)["kid"] },
		"a key of another ring":      func(d, o, _ object) { d["keys"].([]any)[1] = o["keys"].([]any)[1] },
		"a MAC key of another ring":  func(d, o, _ object) { d["macs"].([]any)[1] = o["macs"].([]any)[1] },
		"another epoch":              func(d, o, _ object) { d["epoch"] = o["epoch"] },
		"a malformed epoch":          func(d, _, _ object) { d["epoch"] = "x" },
		"another algorithm":          func(d, _, _ object) { nth(d, "keys", 1)["alg"] = "ES256" },
		"an algorithm that is none":  func(d, _, _ object) { nth(d, "keys", 1)["alg"] = "none" },
		"a key in the clear":         func(d, _, p object) { d["keys"].([]any)[1] = p["keys"].([]any)[1] },
		"a ring in the clear": func(d, _, p object) {
			d["kek"] = ""
			d["epoch"], d["keys"], d["macs"] = p["epoch"], p["keys"], p["macs"]
		},
		"an unknown state":             func(d, _, _ object) { nth(d, "keys", 1)["state"] = "asleep" },
		"a MAC key in a foreign state": func(d, _, _ object) { nth(d, "macs", 1)["state"] = "revoked" },
		"two active keys":              func(d, _, _ object) { nth(d, "keys", 2)["state"] = "active" },
		"two active MAC keys":          func(d, _, _ object) { nth(d, "macs", 2)["state"] = "active" },
		"a revoked key with a private": func(d, _, _ object) { nth(d, "keys", 0)["private"] = nth(d, "keys", 1)["private"] },
		"a revoked key back in use":    func(d, _, _ object) { nth(d, "keys", 0)["state"] = "retired" },
		"a key twice":                  func(d, _, _ object) { d["keys"] = append(d["keys"].([]any), d["keys"].([]any)[2]) },
		"a MAC key twice":              func(d, _, _ object) { d["macs"] = append(d["macs"].([]any), d["macs"].([]any)[2]) },
		"a format to come":             func(d, _, _ object) { d["format"] = 2 },
		"a member to come":             func(d, _, _ object) { d["future"] = true },
		"no private part":              func(d, _, _ object) { delete(nth(d, "keys", 1), "private") },
		"a flipped bit": func(d, _, _ object) {
			sealed, err := base64.StdEncoding.DecodeString(nth(d, "keys", 1)["private"].(string))
			if err != nil {
				t.Fatal(err)
			}
			sealed[len(sealed)-1] ^= 1
			nth(d, "keys", 1)["private"] = base64.StdEncoding.EncodeToString(sealed)
		},
	} {
		var doc, other, open object
		for to, from := range map[*object][]byte{&doc: data, &other: another, &open: plain} {
			if err := json.Unmarshal(from, to); err != nil {
				t.Fatal(err)
			}
		}
		change(doc, other, open)
		forged, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := codec.Unmarshal(forged); err == nil {
			t.Errorf("%s: accepted as %v", name, r)
		}
	}
	for name, forged := range map[string][]byte{
		"nothing":                 nil,
		"no JSON":                 []byte("ring"),
		"null":                    []byte("null"),
		"two documents":           append(bytes.Clone(data), data...),
		"cut short":               data[:len(data)-1],
		"larger than a ring ever": append(bytes.Clone(data), bytes.Repeat([]byte(" "), 1<<20)...),
	} {
		if r, err := codec.Unmarshal(forged); err == nil {
			t.Errorf("%s: accepted as %v", name, r)
		}
	}
}

// A ring of a later release is told from a broken one, whatever else it holds.
func TestRingOfALaterRelease(t *testing.T) {
	codec := keys.NewCodec()
	for doc, by := range map[string]string{
		`{"format": 2, "by": "1.9.0", "epoch": "k3x5", "rings": [{"new": true}]}`:                  "authd 1.9.0",
		`{"format": 3, "epoch": "", "term": 1, "holder": "", "keys": [], "macs": [], "by": "2.0"}`: "authd 2.0",
		`{"format": 2, "epoch": "", "term": 1, "holder": "", "keys": [], "macs": []}`:              "a newer authd",
	} {
		_, err := codec.Unmarshal([]byte(doc))
		if !errors.Is(err, schema.ErrNewer) || !strings.Contains(err.Error(), "start "+by+", or the release before it") {
			t.Errorf("%s: %v", doc, err)
		}
	}
	_, err := codec.Unmarshal([]byte(`{"format": 1, "epoch": "", "term": 1, "holder": "", "keys": [], "macs": [], "extra": 1}`))
	if err == nil || errors.Is(err, schema.ErrNewer) {
		t.Errorf("a member too many: %v", err)
	}
}

// Without a seal it is the thumbprint in the kid that ties a key to its place.
func TestPlainDocumentChecksThumbprints(t *testing.T) {
	r := richRing(t, "EdDSA")
	r.Keys[1].Private, r.Keys[2].Private = r.Keys[2].Private, r.Keys[1].Private
	data, err := keys.NewCodec().Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := keys.NewCodec().Unmarshal(data); err == nil {
		t.Errorf("two keys swapped: accepted as %v", got)
	}
}

func TestParseKEKs(t *testing.T) {
	a, b := keys.GenerateKEK(), keys.GenerateKEK()
	url := strings.TrimRight(strings.NewReplacer("+", "-", "/", "_").Replace(b.Reveal()), "=")
	for name, text := range map[string]string{
		"lines": a.Reveal() + "\n" + b.Reveal() + "\n", "commas": a.Reveal() + "," + b.Reveal(),
		"base64url, unpadded": a.Reveal() + " " + url, "CRLF": a.Reveal() + "\r\n" + b.Reveal() + "\r\n",
	} {
		keks, err := keys.ParseKEKs(text)
		if err != nil || len(keks) != 2 || keks[0].Reveal() != a.Reveal() || keks[1].Reveal() != b.Reveal() {
			t.Errorf("%s: got %v, %v", name, keks, err)
		}
	}
	short := base64.StdEncoding.EncodeToString(make([]byte, 31))
	for name, text := range map[string]string{
		"empty": "", "blank": " \n", "31 bytes": short, "no base64": strings.Repeat("!", 44), "second one bad": a.Reveal() + " " + short,
	} {
		keks, err := keys.ParseKEKs(text)
		if err == nil {
			t.Errorf("%s: got %v", name, keks)
			continue
		}
		for _, part := range strings.Fields(text) {
			if strings.Contains(err.Error(), part) {
				t.Errorf("%s: the error repeats the text: %v", name, err)
			}
		}
	}
}

// Whatever is in the store, reading it ends with a ring that can be written again, or with an error.
func FuzzUnmarshal(f *testing.F) {
	for _, alg := range []string{"ES256", "EdDSA"} {
		data, err := keys.NewCodec().Marshal(richRing(f, alg))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"format":1,"epoch":"","term":1,"holder":"","keys":[],"macs":[]}`))
	f.Add([]byte(`{"format":1,"epoch":"aaaaaaaa","keys":[{"kid":"aaaaaaaa-AAAAAAAAAAAAAAAAAAAAAA","state":"revoked"}]}`))
	plain, sealed := keys.NewCodec(), keys.NewCodec(keys.GenerateKEK())
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, err := sealed.Unmarshal(data); err == nil && len(r.Keys)+len(r.MACs) > 0 {
			for _, k := range r.Keys {
				if k.State != keys.Revoked {
					t.Errorf("accepted under a KEK that has sealed nothing: %v", r)
				}
			}
			if len(r.MACs) > 0 {
				t.Errorf("accepted under a KEK that has sealed nothing: %v", r)
			}
		}
		r, err := plain.Unmarshal(data)
		if err != nil {
			return
		}
		again, err := plain.Marshal(r)
		if err != nil {
			t.Fatalf("%v cannot be written again: %v", r, err)
		}
		if back, err := plain.Unmarshal(again); err != nil || !reflect.DeepEqual(withoutPrivate(back), withoutPrivate(r)) {
			t.Errorf("%v came back as %v, %v", r, back, err)
		}
		p := keys.Policy{Algorithm: "EdDSA"}.WithDefaults()
		now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
		if step := p.Next(now, r); step.Action != keys.Wait {
			if _, err := p.Apply(now, r, step); err != nil {
				t.Errorf("%v stands still: %v", r, err)
			}
		}
	})
}
