package audit_test

import (
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/authd-project/authd/audit"
)

// The schema in docs names the types there are, and no others.
func TestSchemaHasTheTypes(t *testing.T) {
	text, err := os.ReadFile("../docs/audit-event.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Properties struct {
			Type    struct{ Enum []audit.Type }
			Version struct{ Const int } `json:"v"`
		}
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(schema.Properties.Type.Enum, audit.Types()) || schema.Properties.Version.Const != audit.Version {
		t.Errorf("the schema has version %d and the types\n%q\nbut there are\n%q",
			schema.Properties.Version.Const, schema.Properties.Type.Enum, audit.Types())
	}
}
