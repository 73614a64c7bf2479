package main

import (
	"slices"
	"strings"
	"testing"
)

func TestIDsThatLookLikeOptions(t *testing.T) {
	for in, want := range map[string]string{
		"session end -iHiFuMosBujZQ92Ci3GeQ --data d":                       "session end --data d -- -iHiFuMosBujZQ92Ci3GeQ",
		"session end -iHiFuMosBujZQ92Ci3GeQ AiHiFuMosBujZQ92Ci3GeQ":         "session end AiHiFuMosBujZQ92Ci3GeQ -- -iHiFuMosBujZQ92Ci3GeQ",
		"revoke jti -_HiFuMosBujZQ92Ci3GeQ":                                 "revoke jti -- -_HiFuMosBujZQ92Ci3GeQ",
		"session end -- -iHiFuMosBujZQ92Ci3GeQ":                             "session end -- -iHiFuMosBujZQ92Ci3GeQ",
		"serve --data d -h":                                                 "serve --data d -h",
		"serve --users-password-fil --publish-ahead-least 11m --demo=false": "serve --users-password-fil --publish-ahead-least 11m --demo=false",
		"": "",
	} {
		if got := withIDs(strings.Fields(in)); !slices.Equal(got, strings.Fields(want)) {
			t.Errorf("%q is read as %q, want %q", in, got, want)
		}
	}
}
