package schema_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/authd-project/authd/internal/schema"
)

// Any release may use what the one before, the same one or the one after has stored, and nobody what came two later.
func TestOneReleaseEitherWay(t *testing.T) {
	for stored := range 6 {
		for own := range 6 {
			_, err := schema.Of(stored, "1.9").Enter(schema.Of(own, "1.5"))
			if allowed := stored <= own+1; (err == nil) != allowed {
				t.Errorf("version %d on data of version %d: %v", own, stored, err)
			}
		}
	}
	_, err := schema.Of(7, "1.9").Enter(schema.Of(5, "1.7"))
	if !errors.Is(err, schema.ErrNewer) {
		t.Fatalf("error %v", err)
	}
	for _, told := range []string{"authd 1.9 has written it in version 7", "knows version 6", "this authd 1.7 knows 5", "start authd 1.9, or the release before it", "nothing was changed"} {
		if !strings.Contains(err.Error(), told) {
			t.Errorf("%q does not say %q", err, told)
		}
	}
}

// What a newer release has left keeps those out who cannot read it, also after a return to an older one.
func TestReturn(t *testing.T) {
	old, next := schema.Of(4, "1.4"), schema.Of(5, "1.5")
	s := schema.Stamp{}
	for _, own := range []schema.Stamp{old, next, old} {
		var err error
		if s, err = s.Enter(own); err != nil {
			t.Fatal(err)
		}
	}
	if want := (schema.Stamp{Version: 4, Needs: 4, Release: "1.5"}); s != want {
		t.Errorf("%+v, want %+v", s, want)
	}
	if _, err := s.Enter(schema.Of(3, "1.3")); !errors.Is(err, schema.ErrNewer) || !strings.Contains(err.Error(), "authd 1.5") {
		t.Errorf("two releases back: %v", err)
	}
	if s, err := s.Enter(next); err != nil || s != next {
		t.Errorf("forward again: %+v, %v", s, err)
	}
}
