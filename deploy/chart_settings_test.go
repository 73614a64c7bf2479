package deploy_test

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// chartOwns are settings that follow from how the chart runs authd; values may not name them.
var chartOwns = map[string]bool{
	"listen": true, "admin_listen": true, "data": true, "config": true, "demo": true, "drain_timeout": true, "shutdown_delay": true,
	"election": true, "keys": true, "kubernetes_lease": true, "kubernetes_secret": true, "kubernetes_namespace": true, "kubeconfig": true,
	"kek_file": true, "admin_token_file": true, "redis_password_file": true, "users_password_file": true,
	"etcd_password_file": true, "etcd_ca": true, "etcd_cert": true, "etcd_key": true,
}

// The schema knows the settings that authd knows, and their types, and no others.
func TestSchemaHasSettings(t *testing.T) {
	t.Parallel()
	binary, err := authdBinary()
	if err != nil {
		t.Fatal(err)
	}
	help, err := exec.CommandContext(t.Context(), binary, "serve", "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	properties := map[string]any{}
	for _, m := range regexp.MustCompile(`(?m)^ +--(\S+)(?: (string|strings|int|duration))?  +(.*)$`).FindAllStringSubmatch(string(help), -1) {
		if name := strings.ReplaceAll(m[1], "-", "_"); !chartOwns[name] {
			properties[name] = settingType(name, m[2])
		}
	}
	if len(properties) < 40 || properties["issuer"] == nil {
		t.Fatalf("read only %d settings from\n%s", len(properties), help)
	}
	name := filepath.Join(chart, "values.schema.json")
	var schema map[string]any
	if err := json.Unmarshal([]byte(readFile(t, name)), &schema); err != nil {
		t.Fatal(err)
	}
	schema["properties"].(map[string]any)["config"].(map[string]any)["properties"] = properties
	text, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	keep(t, name, string(text)+"\n")
}

// settingType is the schema of a setting. What holds a URL may hold no password in it: values are kept in clear.
func settingType(name, word string) map[string]any {
	const noPassword = `^([a-z+-]+://([^:@/]*@)?)?[^@]*$`
	text := map[string]any{"type": "string"}
	switch name {
	case "issuer":
		text["pattern"] = `^https?://[^/@?#]+$`
	case "redis", "factors", "users", "etcd":
		text["pattern"] = noPassword
	}
	switch word {
	case "":
		return map[string]any{"type": "boolean"}
	case "int":
		return map[string]any{"type": "integer"}
	case "duration":
		return map[string]any{"type": "string", "pattern": `^([0-9]+([.][0-9]+)?(h|m|s|ms))+$`}
	case "strings":
		return map[string]any{"anyOf": []any{text, map[string]any{"type": "array", "items": text}}}
	}
	return text
}
