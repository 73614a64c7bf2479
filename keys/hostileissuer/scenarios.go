package hostileissuer

import (
	"net/http"
	"slices"
	"time"
)

// Scenarios is the table of all scenarios, in the order in which one reads of them.
func Scenarios() []Scenario {
	return slices.Concat(keyLife(), caching(), documents(), transport(), sizes(), redirects(), badKeys(), floods(), coldStart())
}

// What a good client does is mostly one of these.
const (
	survive    = "accepts tokens of the key it has at once, answers about any other in bounded time, asks seldom, and takes up the next good set"
	mustBeSeen = "accepts tokens of the new key within seconds"
	mustDie    = "refuses tokens of the old key within seconds"
)

func keyLife() []Scenario {
	rotation := begins()
	for _, pair := range [][2]string{{"a", "b"}, {"b", "c"}, {"c", "d"}, {"d", "e"}} {
		rotation = append(rotation, publish(pair[0], pair[1]), pause(3*time.Second), accepts(pair[0]), accepts(pair[1]))
	}
	return []Scenario{
		{
			Name: "honest", Issuer: "publishes one key, with max-age=1", tells: requests,
			Client: "accepts its tokens; refuses forged ones and those of unknown keys; asks as often as it is told",
			steps: begins(together(
				during(4*time.Second, time.Second/50, accepts("a")),
				during(4*time.Second, time.Second, forged("a")),
				during(4*time.Second, time.Second, refuses("b", "a token of an unknown key")),
			), fewRequests),
		},
		{
			Name: "rotates", Issuer: "takes a new key every 3 s, announced 3 s ahead", tells: wait,
			Client: "accepts tokens of the old key and of the new one, always and promptly",
			steps:  append(rotation, fewRequests),
		},
		{
			Name: "unannounced key", Issuer: "signs with a key the moment it publishes it", tells: effect, Client: mustBeSeen,
			steps: begins(publish("a", "b"), within(soon, accepts("b")), accepts("a"), fewRequests),
		},
		{
			Name: "key withdrawn", Issuer: "withdraws a key", tells: effect, Client: mustDie,
			steps: begins(publish("b"), within(soon, accepts("b")), within(soon, refuses("a", "a token of the withdrawn key"))),
		},
		{
			Name: "silent for good", Issuer: "hangs and never comes back", tells: effect,
			Client: "stops trusting its keys when they are as old as it was told: one of them may have been withdrawn",
			steps:  begins(always(Hang), within(maxAge+soon/2, refuses("a", "a token of a key not heard of for too long"))),
		},
	}
}

const oneYear = "public, max-age=31536000"

func caching() []Scenario {
	lie := func(name, cacheControl string) Scenario {
		return Scenario{
			Name: name, Issuer: "sends Cache-Control: " + cacheControl, tells: requests,
			Client: "does not fetch for each token, and takes up a new key",
			steps: begins(
				publishFor(cacheControl, "a"), pause(2*time.Second), mark,
				during(4*time.Second, time.Second/50, accepts("a")), fewRequests,
				publishFor(cacheControl, "a", "b"), within(soon, accepts("b")),
			),
		}
	}
	return []Scenario{
		{
			Name: "max-age of a year", Issuer: "says that its set is good for a year, and withdraws a key", tells: effect,
			Client: mustDie,
			steps: []step{
				publishFor(oneYear, "a"), launch, within(soon, accepts("a")),
				publishFor(oneYear, "b"), within(soon, refuses("a", "a token of the withdrawn key")),
			},
		},
		lie("max-age=0", "no-store, max-age=0"),
		lie("negative max-age", "max-age=-1"),
		lie("garbage max-age", "max-age=soon, max-age=99999999999999999999, =,"),
		{
			Name: "ETag never changes", Issuer: "answers 304 by an ETag that stays, though a key came and one went", tells: effect,
			Client: "finds out when tokens of the new key come, or when what it has is too old",
			steps: []step{
				answerKeys(func(_ *trial, doc string) http.Handler { return Unchanged(`"1"`, set("max-age=1", doc)) }, "a"),
				launch, within(soon, accepts("a")),
				answerKeys(func(_ *trial, doc string) http.Handler { return Unchanged(`"1"`, set("max-age=1", doc)) }, "b"),
				within(soon, accepts("b")), within(maxAge+soon/2, refuses("a", "a token of the withdrawn key")),
			},
		},
		outage("always 304", "answers 304 to everybody, asked or not", Says(http.StatusNotModified, "")),
	}
}

// outage is an answer with nothing in it, after a good set.
func outage(name, does string, h http.HandlerFunc) Scenario {
	return Scenario{Name: name, Issuer: does, Client: survive, tells: wait, steps: withstands(unpublished, always(h))}
}

const unpublished = "a token of a key that was not published"

// withstands are the steps in which a client that has the key "a" meets an answer that is no set of keys, or is not to be
// trusted for "b". odd is what a token of "b" is then.
func withstands(odd string, answer step) []step {
	return begins(answer,
		together(
			during(4*time.Second, time.Second/20, accepts("a")),
			during(4*time.Second, time.Second/2, refuses("b", odd)),
		),
		fewRequests, publish("a", "b"), within(soon, accepts("b")), accepts("a"),
	)
}

func documents() []Scenario {
	const errorDocument = `{"error":"server_error","error_description":"try again later"}`
	withGood := func(status int) step {
		return answer(func(_ *trial, doc string) http.Handler { return Says(status, doc) })
	}
	return []Scenario{
		outage("empty object", "answers {}", Says(200, `{}`)),
		outage("null", "answers null", Says(200, `null`)),
		outage("null keys", `answers {"keys":null}`, Says(200, `{"keys":null}`)),
		outage("empty set", `answers {"keys":[]}`, Says(200, `{"keys":[]}`)),
		outage("empty body", "answers nothing, with status 200", Says(200, ``)),
		outage("HTML", "answers the page of a captive portal, with status 200", Says(200, `<!doctype html><title>Sign in</title>`)),
		outage("error with status 200", "answers an error document, with status 200", Says(200, errorDocument)),
		outage("error 404", "answers an error document", Says(404, errorDocument)),
		outage("error 503", "answers an error document", Says(503, errorDocument)),
		{
			Name: "good set with status 500", Issuer: "answers a set with a second key, with status 500", Client: survive, tells: wait,
			steps: withstands("a token of a key from an answer with status 500", withGood(500)),
		},
		{
			Name: "half a document", Issuer: "answers the first half of a good set", Client: survive, tells: wait,
			steps: withstands(unpublished, answer(func(_ *trial, doc string) http.Handler { return Says(200, doc[:len(doc)/2]) })),
		},
		outage("deep nesting", "answers JSON nested 100,000 deep", Says(200, `{"keys":`+Nested(100_000)+`}`)),
		{
			Name: "wrong content type", Issuer: "publishes its set as text/plain", Client: mustBeSeen + ": many issuers do", tells: effect,
			steps: begins(answer(func(_ *trial, doc string) http.Handler {
				return With("Content-Type", "text/plain; charset=utf-8", Says(200, doc))
			}), within(soon, accepts("b"))),
		},
	}
}

func transport() []Scenario {
	cut := func(name, does string, h func(body string) http.HandlerFunc) Scenario {
		return Scenario{
			Name: name, Issuer: does, Client: survive, tells: wait,
			steps: withstands(unpublished, answer(func(_ *trial, doc string) http.Handler { return h(doc) })),
		}
	}
	return []Scenario{
		outage("hangs", "answers nothing, and holds the connection", Hang),
		outage("drops connections", "closes every connection without an answer", Drop),
		cut("stalls half way", "sends half of a good set and then nothing, and holds the connection", Stall),
		cut("cut off half way", "sends half of a good set and closes the connection", CutOff),
		outage("drips", "sends a byte every half second, without end", Drip),
	}
}

func sizes() []Scenario {
	const most = 64 << 20
	return []Scenario{
		{
			Name: "1 GiB", Issuer: "sends a gibibyte of white space", tells: bytesSent,
			Client: survive + "; takes no more than 64 MiB in all, buffers of sockets included",
			steps: begins(always(Padded(1<<30, "")), together(
				during(4*time.Second, time.Second/20, accepts("a")),
				during(4*time.Second, time.Second/2, refuses("b", unpublished)),
			), fewBytes(most), fewRequests, publish("a", "b"), within(soon, accepts("b"))),
		},
		{
			Name: "gzip bomb", Issuer: "sends a good set behind 32 MiB of white space, compressed to 32 KiB", tells: wait,
			Client: survive + "; does not unpack it all",
			steps:  withstands("a token of a key behind 32 MiB", answer(func(_ *trial, doc string) http.Handler { return GzipBomb(most/2, doc) })),
		},
	}
}

func redirects() []Scenario {
	return []Scenario{
		{
			Name: "redirect to another origin", Issuer: "redirects to another host, which publishes a key of its own", tells: wait,
			Client: survive + "; never accepts tokens of the other's key: who can redirect one page must not choose the keys",
			steps: withstands("a token of the other host's key", answer(func(t *trial, doc string) http.Handler {
				t.evil.Answer(set("public, max-age=1", doc))
				return http.RedirectHandler(t.evil.URL+"/jwks.json", http.StatusFound)
			})),
		},
		outage("redirect to itself", "redirects to itself, without end", http.RedirectHandler("/jwks.json", http.StatusFound).ServeHTTP),
	}
}

func badKeys() []Scenario {
	beside := func(name, does string, spoil func(odd jwk)) Scenario {
		return Scenario{
			Name: name, Issuer: "publishes, between two good keys, " + does, tells: effect,
			Client: "leaves out the bad key and takes the good ones",
			steps: begins(publishBeside(spoil), within(soon, accepts("b")), accepts("a"),
				during(time.Second, time.Second/4, refuses("odd", "a token of the bad key"))),
		}
	}
	put := func(name string, value any) func(jwk) { return func(k jwk) { k[name] = value } }
	drop := func(name string) func(jwk) { return func(k jwk) { delete(k, name) } }
	return []Scenario{
		beside("unknown key type", "one of a type that nobody knows", put("kty", "MLWE")),
		beside("point off the curve", "one whose point is not on its curve", func(k jwk) { k["y"] = k["x"] }),
		beside("member missing", "one without y", drop("y")),
		beside("member of another type", "one whose x is a number", put("x", 7)),
		beside("empty key", "one that is {}", func(k jwk) { clear(k) }),
		beside("key for encryption", "one with use=enc, which signs tokens", put("use", "enc")),
		beside("key for another algorithm", "one with alg=RS256, which signs tokens by ES256", put("alg", "RS256")),
		{
			Name: "two keys with one kid", Issuer: "publishes, between two good keys, two different ones with the same kid", tells: effect,
			Client: "takes the good keys; what it does with the two is its own affair",
			steps:  begins(publishTwins, within(soon, accepts("b")), accepts("a")),
		},
		{
			Name: "symmetric key", Issuer: "publishes a symmetric key beside good ones; somebody signs with it, by HS256",
			Client: "leaves out that key and takes the good ones: everybody knows the secret", tells: effect,
			steps: begins(publishBeside(func(k jwk) {
				clear(k)
				k["kty"], k["kid"], k["alg"], k["k"] = "oct", "odd", "HS256", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
			}), within(soon, accepts("b")), accepts("a"), during(time.Second, time.Second/4, confused)),
		},
	}
}

// confused demands that a token is refused that is signed with the symmetric key of the scenario above.
func confused(t *trial) error {
	by, err := t.signer("odd")
	if err != nil {
		return err
	}
	raw, err := t.settings.issue(t.ctx, by)
	if err != nil {
		return err
	}
	took, said := t.ask(confuse(raw, "odd", make([]byte, 32)))
	return judgeRefusal(took, said, "a token signed with a published secret")
}

func floods() []Scenario {
	const client = "asks the issuer as seldom as it is told, delays no token of a known key, and answers all in bounded time"
	stream := func(d time.Duration) step { return during(d, time.Second/100, flood(1)) }
	return []Scenario{
		{
			Name: "500 unknown keys at once", Issuer: "is honest; 500 tokens come at once, each of another unknown key",
			Client: client, tells: requests,
			steps: begins(pause(3*time.Second), mark, together(flood(500), during(2*time.Second, time.Second/20, accepts("a"))), fewRequests),
		},
		{
			Name: "stream of unknown keys", Issuer: "is honest; 100 tokens of unknown keys a second come, and then also a new key",
			Client: client + "; takes up the new key within seconds", tells: requests,
			steps: begins(together(stream(5*time.Second), during(5*time.Second, time.Second/20, accepts("a"))), fewRequests,
				publish("a", "b"), together(stream(4*time.Second), within(soon, accepts("b")))),
		},
		{
			Name: "flood while it hangs", Issuer: "hangs; 500 tokens come at once, each of another unknown key", Client: client, tells: wait,
			steps: begins(always(Hang), together(flood(500), during(4*time.Second, time.Second/20, accepts("a"))), fewRequests),
		},
		{
			Name: "forged tokens of a known key", Issuer: "is honest; 100 forged tokens a second come that name its key",
			Client: client, tells: requests,
			steps: begins(together(during(4*time.Second, time.Second/100, forged("a")), during(4*time.Second, time.Second/20, accepts("a"))), fewRequests),
		},
	}
}

func coldStart() []Scenario {
	late := func(name, does string, first http.HandlerFunc) Scenario {
		return Scenario{
			Name: "cold start: " + name, Issuer: does + " when the client starts, and is well 4 s later", tells: effect,
			Client: "accepts nothing, answers in bounded time, and is well within seconds of the issuer",
			steps: []step{
				always(first), launch, during(4*time.Second, time.Second/4, refuses("a", "a token of a key that nobody published")),
				fewRequests, publish("a"), within(soon, accepts("a")),
			},
		}
	}
	return []Scenario{
		late("dead", "closes every connection", Drop),
		late("hanging", "answers nothing, and holds the connection", Hang),
		late("failing", "answers status 503", Says(http.StatusServiceUnavailable, "starting")),
		late("empty set", `answers {"keys":[]}`, Says(http.StatusOK, `{"keys":[]}`)),
		late("304", "answers 304, with nothing to be unchanged", Says(http.StatusNotModified, "")),
	}
}
