package main

import (
	"bytes"
	"strings"
	"testing"
)

// TestShortRun lets every contender verify real tokens. How fast is not judged: that needs more turns and a quiet
// machine.
func TestShortRun(t *testing.T) {
	var out bytes.Buffer
	if _, err := run(t.Context(), []string{"-short"}, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"ES256", "EdDSA", "RS256", nameBare, nameNew, nameSeen(quick.few), nameSeen(quick.many), namePeer,
		"golang-jwt + keyfunc", "go-jose", "jwx", "go-oidc", nameMiss, nameHit, "budget",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in:\n%s", want, &out)
		}
	}
}

func TestMissedBudgetIsReported(t *testing.T) {
	var out bytes.Buffer
	if !printBudgets(&out, []budget{{"a", 1, 1, "ns"}, {"b", 0, 0, ""}}) || strings.Contains(out.String(), "MISSED") {
		t.Errorf("all hold, but:\n%s", &out)
	}
	if printBudgets(&out, []budget{{"a", 2, 1, "ns"}}) || !strings.Contains(out.String(), "MISSED") {
		t.Errorf("one is missed, but:\n%s", &out)
	}
}
