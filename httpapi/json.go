package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"
)

// field is one member that a request object may have.
type field struct {
	name     string
	into     any // *string, *bool or *[]string
	required bool
	max      int // longest string, in bytes; of each item in a list
}

// readObject reads the request's body as one JSON object with no other members than fields. It is strict where
// encoding/json is not: names match exactly, none may be repeated or unknown, null is not a value, and text must be
// valid Unicode. Every member at fault is reported, by name, without its value. An empty body counts as an empty
// object when no field is required.
func readObject(x *exchange, fields ...field) error {
	body, err := readBody(x, echo.MIMEApplicationJSON)
	if err != nil {
		return err
	}
	if len(body) == 0 {
		body = []byte("{}")
	}
	if !utf8.Valid(body) || hasLoneSurrogate(body) {
		return badRequest("The body is not valid Unicode.")
	}
	faults, err := decodeObject(body, fields)
	if err != nil {
		return err
	}
	if len(faults) > 0 {
		return badFields(faults...)
	}
	return nil
}

// readBody returns the whole body, which must be of the given media type and not compressed.
func readBody(x *exchange, mediaType string) ([]byte, error) {
	r := x.Request()
	if r.Header.Get(echo.HeaderContentEncoding) != "" {
		return nil, unsupportedMedia("Compressed bodies are not accepted.")
	}
	if r.ContentLength > maxBody {
		x.header().Set(echo.HeaderConnection, "close")
		return nil, tooLarge()
	}
	body, err := readAll(r)
	var tooBig *http.MaxBytesError
	switch {
	case errors.As(err, &tooBig):
		return nil, tooLarge()
	case err != nil:
		return nil, &refusal{
			status: http.StatusBadRequest, code: codeBadRequest, detail: "The body could not be read to its end.", cause: err,
		}
	}
	if len(body) == 0 && r.Header.Get(echo.HeaderContentType) == "" {
		return nil, nil
	}
	types := r.Header.Values(echo.HeaderContentType)
	if len(types) != 1 || !isMediaType(types[0], mediaType) {
		return nil, unsupportedMedia("The body must be " + mediaType + ".")
	}
	return body, nil
}

// readAll is io.ReadAll in one piece where the length is known.
func readAll(r *http.Request) ([]byte, error) {
	if r.ContentLength < 0 {
		return io.ReadAll(r.Body)
	}
	body := make([]byte, r.ContentLength)
	_, err := io.ReadFull(r.Body, body)
	return body, err
}

func isMediaType(contentType, want string) bool {
	if contentType == want {
		return true
	}
	got, params, err := mime.ParseMediaType(contentType)
	charset, has := params["charset"]
	return err == nil && got == want && (!has || strings.EqualFold(charset, "utf-8"))
}

func unsupportedMedia(detail string) *refusal {
	return &refusal{status: http.StatusUnsupportedMediaType, code: codeUnsupportedMedia, detail: detail}
}

func tooLarge() *refusal {
	return &refusal{
		status: http.StatusRequestEntityTooLarge, code: codeTooLarge,
		detail: fmt.Sprintf("The body is larger than %d bytes.", maxBody),
	}
}

// decodeObject fills fields from body. An error is about the body as a whole, faults are about members.
func decodeObject(body []byte, fields []field) (faults []fieldError, err error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, badRequest("The body is not a JSON object.")
	}
	seen := make(map[string]bool, len(fields))
	for dec.More() {
		t, err := dec.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, badRequest("The body is not valid JSON.")
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, badRequest("The body is not valid JSON.")
		}
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == name })
		switch {
		case seen[name]:
			faults = append(faults, fieldError{Field: showName(name), Detail: "given twice"})
		case i < 0:
			faults = append(faults, fieldError{Field: showName(name), Detail: "unknown"})
		default:
			if fault := fields[i].set(value); fault != "" {
				faults = append(faults, fieldError{Field: name, Detail: fault})
			}
		}
		seen[name] = true
		if len(faults) > maxFaults {
			return faults, nil
		}
	}
	if _, err := dec.Token(); err != nil {
		return nil, badRequest("The body is not valid JSON.")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, badRequest("There is something after the JSON object.")
	}
	for _, f := range fields {
		if f.required && !seen[f.name] {
			faults = append(faults, fieldError{Field: f.name, Detail: "missing"})
		}
	}
	return faults, nil
}

// maxFaults bounds the answer to a body that is nothing but faults.
const maxFaults = 20

// set stores value, or says what is wrong with it.
func (f field) set(value json.RawMessage) (fault string) {
	null := string(value) == "null"
	switch into := f.into.(type) {
	case *bool:
		if json.Unmarshal(value, into) != nil || null {
			return "must be true or false"
		}
	case *string:
		if json.Unmarshal(value, into) != nil || null {
			return "must be a string"
		}
		return f.checkText(*into)
	case *[]string:
		var items []*string // pointers tell null from ""
		if json.Unmarshal(value, &items) != nil || null {
			return "must be a list of strings"
		}
		for _, item := range items {
			if item == nil {
				return "must be a list of strings"
			}
			if fault := f.checkText(*item); fault != "" {
				return fault
			}
			*into = append(*into, *item)
		}
	default:
		return fmt.Sprintf("has the unsupported type %T", f.into)
	}
	return ""
}

func (f field) checkText(s string) (fault string) {
	switch {
	case s == "":
		return "must not be empty"
	case f.max > 0 && len(s) > f.max:
		return fmt.Sprintf("must be at most %d bytes", f.max)
	}
	return ""
}

// showName makes a member's name fit for an answer: whoever sent it chose it.
func showName(name string) string {
	const longest = 64
	if len(name) <= longest {
		return name
	}
	return strings.ToValidUTF8(name[:longest], "") + "…"
}
