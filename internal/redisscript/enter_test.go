package redisscript_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/authd-project/authd/internal/schema"
	"github.com/authd-project/authd/internal/testenv"
)

// The script does what the rule says, whoever comes after whom.
func TestEnter(t *testing.T) {
	client := connect(t, testenv.Redis(t))
	r := newRunner(t, client, 0, testTimeout)
	want := schema.Stamp{}
	for _, version := range []int{0, 1, 1, 2, 1, 0, 3, 2, 1, 4, 3, 2, 5, 9, 0} {
		own := schema.Of(version, fmt.Sprint("1.", version))
		next, refused := want.Enter(own)
		err := r.Enter(t.Context(), "schema", own)
		if errors.Is(err, schema.ErrNewer) != (refused != nil) || (err == nil) != (refused == nil) {
			t.Fatalf("version %d on %+v: %v, want %v", version, want, err, refused)
		}
		if err != nil && err.Error() != refused.Error() {
			t.Errorf("it says %q, want %q", err, refused)
		}
		if refused == nil {
			want = next
		}
		values, err := client.HGetAll(t.Context(), "schema").Result()
		if err != nil {
			t.Fatal(err)
		}
		v, _ := strconv.Atoi(values["version"])
		needs, _ := strconv.Atoi(values["needs"])
		if got := (schema.Stamp{Version: v, Needs: needs, Release: values["release"]}); got != want {
			t.Errorf("version %d left %+v, want %+v", version, got, want)
		}
	}
	if err := client.Set(t.Context(), "schema", "x", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := r.Enter(t.Context(), "schema", schema.Of(1, "")); err == nil || !strings.Contains(err.Error(), "WRONGTYPE") {
		t.Errorf("something else under the key: %v", err)
	}
}
