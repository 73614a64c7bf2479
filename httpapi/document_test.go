package httpapi_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/schema_validation"
	"github.com/pb33f/libopenapi/datamodel/high/base"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"

	"github.com/authd-project/authd/httpapi"
)

// operations calls visit for each operation of the document.
func (d *document) operations(visit func(method, path string, op *v3.Operation)) {
	for path, item := range d.model.Paths.PathItems.FromOldest() {
		for method, op := range item.GetOperations().FromOldest() {
			visit(strings.ToUpper(method), path, op)
		}
	}
}

// contracts returns both documents.
func contracts(t *testing.T) map[string]*document {
	t.Helper()
	public, err := publicContract()
	must(t, err)
	admin, err := adminContract()
	must(t, err)
	return map[string]*document{"public": public, "admin": admin}
}

// Every route is documented, and everything documented is there.
func TestRoutesAreTheDocuments(t *testing.T) {
	e := newProvider(t)
	for name, server := range map[string]*httpapi.Server{"public": e.public, "admin": e.admin} {
		t.Run(name, func(t *testing.T) {
			var documented []string
			contracts(t)[name].operations(func(method, path string, _ *v3.Operation) {
				documented = append(documented, method+" "+path)
				if method == "GET" && path != "/v1/revocations" { // the conventions promise HEAD but for the stream
					documented = append(documented, "HEAD "+path)
				}
			})
			slices.Sort(documented)
			if routes := server.Routes(); !slices.Equal(routes, documented) {
				t.Errorf("routes of the server\n%s\nare not those of the document\n%s",
					strings.Join(routes, "\n"), strings.Join(documented, "\n"))
			}
		})
	}
}

// The documents are valid OpenAPI 3.1, and each operation says what a reader needs.
func TestDocumentsAreWellFormed(t *testing.T) {
	for name, text := range map[string][]byte{"public": httpapi.PublicDocument(), "admin": httpapi.AdminDocument()} {
		t.Run(name, func(t *testing.T) {
			doc, err := libopenapi.NewDocument(text)
			must(t, err)
			v, errs := validator.NewValidator(doc)
			if len(errs) > 0 {
				t.Fatal(errs)
			}
			defer v.Release()
			if ok, problems := v.ValidateDocument(); !ok {
				for _, p := range problems {
					t.Errorf("%s: %s", p.Message, p.Reason)
				}
			}
			lintOperations(t, contracts(t)[name])
		})
	}
}

func lintOperations(t *testing.T, d *document) {
	t.Helper()
	tags, ids := make(map[string]bool), make(map[string]bool)
	for _, tag := range d.model.Tags {
		tags[tag.Name] = tag.Description != ""
	}
	d.operations(func(method, path string, op *v3.Operation) {
		where := method + " " + path
		switch {
		case op.OperationId == "" || ids[op.OperationId]:
			t.Errorf("%s: operationId %q is missing or not unique", where, op.OperationId)
		case op.Summary == "" || strings.HasSuffix(op.Summary, "."):
			t.Errorf("%s: a summary is a phrase without a full stop", where)
		case len(op.Tags) != 1 || !tags[op.Tags[0]]:
			t.Errorf("%s: needs one tag that the document describes, has %v", where, op.Tags)
		case op.Security == nil && len(d.model.Security) == 0:
			t.Errorf("%s: does not say which credentials it needs", where)
		}
		ids[op.OperationId] = true
		lintResponses(t, where, op)
		for name := range strings.SplitSeq(path, "/") {
			if inner, ok := strings.CutPrefix(name, "{"); ok && !declares(d, path, op, strings.TrimSuffix(inner, "}")) {
				t.Errorf("%s: the path parameter %s is not declared", where, name)
			}
		}
	})
}

func declares(d *document, path string, op *v3.Operation, name string) bool {
	item, _ := d.model.Paths.PathItems.Get(path)
	for _, p := range append(slices.Clone(item.Parameters), op.Parameters...) {
		if p.Name == name && p.In == "path" && p.Required != nil && *p.Required {
			return true
		}
	}
	return false
}

func lintResponses(t *testing.T, where string, op *v3.Operation) {
	t.Helper()
	var success, refusal, failure bool
	for code, r := range op.Responses.Codes.FromOldest() {
		success = success || code[0] == '2'
		refusal = refusal || code[0] == '4'
		failure = failure || code[0] == '5'
		if r.Description == "" {
			t.Errorf("%s: %s has no description", where, code)
		}
		if _, ok := r.Headers.Get("X-Request-Id"); !ok {
			t.Errorf("%s: %s does not document X-Request-Id", where, code)
		}
		if _, ok := r.Headers.Get("WWW-Authenticate"); code == "401" && !ok {
			t.Errorf("%s: %s does not document its challenge (RFC 9110 section 15.5.2)", where, code)
		}
		if _, ok := r.Headers.Get("Retry-After"); (code == "503" || code == "429") && !ok {
			t.Errorf("%s: %s does not say when to try again", where, code)
		}
	}
	if !success || !refusal || !failure {
		t.Errorf("%s: needs answers of the classes 2xx, 4xx and 5xx", where)
	}
}

// Examples must be what the server really takes and gives.
func TestExamplesMatchTheirSchemas(t *testing.T) {
	for name, d := range contracts(t) {
		t.Run(name, func(t *testing.T) {
			checked := 0
			check := func(where string, schema *base.Schema, example any) {
				checked++
				ok, problems := schema_validation.NewSchemaValidator().ValidateSchemaObject(schema, example)
				if !ok {
					t.Errorf("%s: the example does not match: %v", where, problems[0].SchemaValidationErrors)
				}
			}
			for schemaName, proxy := range d.model.Components.Schemas.FromOldest() {
				for _, example := range proxy.Schema().Examples {
					var value any
					must(t, example.Decode(&value))
					check("schema "+schemaName, proxy.Schema(), value)
				}
			}
			d.operations(func(method, path string, op *v3.Operation) {
				if op.RequestBody == nil {
					return
				}
				for kind, media := range op.RequestBody.Content.FromOldest() {
					for exampleName, example := range media.Examples.FromOldest() {
						var value any
						must(t, example.Value.Decode(&value))
						check(strings.Join([]string{method, path, kind, exampleName}, " "), media.Schema.Schema(), value)
					}
				}
			})
			if checked < 5 {
				t.Errorf("only %d examples were checked", checked)
			}
		})
	}
}
