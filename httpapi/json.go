package httpapi

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/authd-project/authd/httpapi/internal/jsonobject"
)

// field is one member that a request object may have.
type field = jsonobject.Field

// readObject reads the request's body as one JSON object with no other members than fields. Every member at fault is
// reported, by name, without its value. An empty body counts as an empty object.
func readObject(x *exchange, fields ...field) error {
	body, err := readBody(x, echo.MIMEApplicationJSON)
	if err != nil {
		return err
	}
	if len(body) == 0 {
		body = []byte("{}")
	}
	faults, err := jsonobject.Decode(body, fields...)
	if err != nil {
		return badRequest("The body " + err.Error() + ".")
	}
	if len(faults) == 0 {
		return nil
	}
	named := make([]fieldError, len(faults))
	for i, f := range faults {
		named[i] = fieldError{Field: f.Name, Detail: f.Reason}
	}
	return badFields(named...)
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
