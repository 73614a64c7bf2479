package jsonobject

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"name":"a","yes":true,"list":["b","c"]}`, `{"name":"\ud83d\ude00"}`, `{"name":"\ud83d"}`, `{"name":"\\ud83d"}`,
		`{"n\u0061me":"x"}`, `{"name":"a","name":"b"}`, `{"Name":"a"}`, `{}`, `{"list":null}`, `{"list":[null]}`, `{"name":1e999}`,
		`[`, `{"name":`, `{"name":"a"}}`, "{\"name\":\"\xff\"}", `{"yes":"true"}`, `{"":""}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var name string
		var yes bool
		var list []string
		faults, err := Decode(body,
			Field{Name: "name", Into: &name, Max: 20}, Field{Name: "yes", Into: &yes}, Field{Name: "list", Into: &list, Max: 5},
		)
		if err != nil || len(faults) > 0 {
			for _, fault := range faults {
				if len(fault.Name) > 80 || !utf8.ValidString(fault.Name) {
					t.Errorf("the answer would name %q", fault.Name)
				}
			}
			return
		}
		// What is accepted, encoding/json reads alike, and more strictly than it does by itself.
		var want map[string]any
		if err := json.Unmarshal(body, &want); err != nil {
			t.Fatalf("accepted %q: %v", body, err)
		}
		for member, value := range want {
			switch member {
			case "name":
				if value != name {
					t.Errorf("name is %q in %q", name, body)
				}
			case "yes":
				if value != yes {
					t.Errorf("yes is %v in %q", yes, body)
				}
			case "list":
				if items, ok := value.([]any); !ok || len(items) != len(list) {
					t.Errorf("list is %q in %q", list, body)
				}
			default:
				t.Errorf("accepted the member %q in %q", member, body)
			}
		}
	})
}

func TestLoneSurrogates(t *testing.T) {
	for text, lone := range map[string]bool{
		`plain`: false, `\ud83d\ude00`: false, `\uD83D\uDE00`: false, `\u0041`: false, `\\ud83d`: false, `\\\ud83d`: true,
		`\ud83d`: true, `\ude00`: true, `\ud83dx`: true, `\ud83d\n`: true, `\ud83d\u0041`: true, `\ud83d\ud83d\ude00`: true,
		`\ud83d\`: true, `\ud8`: false, `\`: false, `\ud83d\ude00\ude00`: true, `\ud83d\\ude00`: true,
	} {
		if got := hasLoneSurrogate([]byte(text)); got != lone {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func TestNamesInAnswersAreBounded(t *testing.T) {
	if got := showName(strings.Repeat("é", 100)); len(got) > 80 || !utf8.ValidString(got) {
		t.Errorf("%q", got)
	}
}
