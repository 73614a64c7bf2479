package audit

import (
	"context"
	"fmt"
	"io"
)

// Writer is a sink that writes lines to an [io.Writer], such as standard output. What it has written it has kept.
type Writer struct{ w io.Writer }

// NewWriter returns a sink that writes to w. A write that does not end holds up this sink only.
func NewWriter(w io.Writer) *Writer { return &Writer{w} }

// Write implements [Sink].
func (w *Writer) Write(_ context.Context, entries []Entry) (kept int, err error) {
	for i, e := range entries {
		text := append(append(make([]byte, 0, len(e.Line)+1), e.Line...), '\n')
		if _, err := w.w.Write(text); err != nil {
			return i, fmt.Errorf("writing an audit event: %w", err)
		}
	}
	return len(entries), nil
}
