// Package registertest holds what every [statuslist.Register] must do, as a test that each backend runs.
package registertest

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/authd-project/authd/statuslist"
)

// NoteOf makes a note that differs from those of other numbers.
func NoteOf(n int) statuslist.Note {
	var note statuslist.Note
	note.Token[0], note.Token[1], note.Token[2], note.Token[3] = 1, byte(n>>16), byte(n>>8), byte(n)
	note.Session, note.Subject, note.Client, note.Key = note.Token, note.Token, note.Token, note.Token
	note.IssuedAt = 1700000000 + int64(n)
	return note
}

// ReadAll returns all notes of a list, packed.
func ReadAll(ctx context.Context, r statuslist.Register, id statuslist.ListID) (h statuslist.Header, notes []byte, err error) {
	for {
		h, total, more, err := r.Read(ctx, id, len(notes)/statuslist.NoteSize)
		if err != nil {
			return h, nil, err
		}
		notes = append(notes, more...)
		if len(notes) >= total*statuslist.NoteSize || len(more) == 0 {
			return h, notes, nil
		}
	}
}

// Run tests a register. open returns one more handle of one and the same store, empty at first, as another process would
// have it.
func Run(t *testing.T, open func(t *testing.T) statuslist.Register) {
	ends := time.Now().Add(time.Hour).Unix()
	list := func(n int) statuslist.ListID { return statuslist.ListID{Ends: ends, Number: n} }
	fresh := func(key byte, size int) statuslist.Header { return statuslist.Header{Key: [16]byte{key}, Size: size} }

	t.Run("slots count up, the first header stays", func(t *testing.T) {
		one, other := open(t), open(t)
		for i, r := range []statuslist.Register{one, other, one, other} {
			slot, h, err := r.Append(t.Context(), list(1), fresh(byte(i+1), 100), NoteOf(i))
			if err != nil || slot != i || h != fresh(1, 100) {
				t.Fatalf("note %d: slot %d, header %v, %v", i, slot, h, err)
			}
		}
		h, notes, err := ReadAll(t.Context(), one, list(1))
		var want []byte
		for i := range 4 {
			want = append(want, NoteOf(i).Pack()...)
		}
		if err != nil || h != fresh(1, 100) || !bytes.Equal(notes, want) {
			t.Errorf("header %v, notes %x, %v", h, notes, err)
		}
		for from, left := range map[int]int{0: 4, 3: 1, 4: 0, 9: 0} {
			_, total, some, err := one.Read(t.Context(), list(1), from)
			if err != nil || total != 4 || len(some) > left*statuslist.NoteSize || left > 0 && !bytes.HasPrefix(notes[from*statuslist.NoteSize:], some) ||
				left > 0 && len(some) == 0 {
				t.Errorf("from %d: total %d, %d bytes, %v", from, total, len(some), err)
			}
		}
	})
	t.Run("a list that does not exist", func(t *testing.T) {
		if _, _, _, err := open(t).Read(t.Context(), list(99), 0); !errors.Is(err, statuslist.ErrNotFound) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("a full list takes no more", func(t *testing.T) {
		r := open(t)
		for i := range 4 {
			slot, _, err := r.Append(t.Context(), list(2), fresh(1, 3), NoteOf(i))
			if i < 3 && (err != nil || slot != i) || i == 3 && !errors.Is(err, statuslist.ErrFull) {
				t.Errorf("note %d: slot %d, %v", i, slot, err)
			}
		}
		if _, total, _, err := r.Read(t.Context(), list(2), 0); err != nil || total != 3 {
			t.Errorf("%d notes, %v", total, err)
		}
	})
	t.Run("no slot is given out twice", func(t *testing.T) {
		const workers, each = 8, 50
		handles := []statuslist.Register{open(t), open(t)}
		var mu sync.Mutex
		var wg sync.WaitGroup
		taken := make(map[int]int)
		for w := range workers {
			wg.Go(func() {
				for i := range each {
					slot, _, err := handles[w%2].Append(t.Context(), list(3), fresh(byte(w), 1000), NoteOf(w*each+i))
					mu.Lock()
					if _, have := taken[slot]; have || err != nil {
						t.Errorf("slot %d: taken %v, %v", slot, have, err)
					}
					taken[slot] = w*each + i
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		_, notes, err := ReadAll(t.Context(), handles[0], list(3))
		if err != nil || len(notes) != workers*each*statuslist.NoteSize {
			t.Fatalf("%d bytes, %v", len(notes), err)
		}
		for slot, n := range taken {
			if !bytes.Equal(notes[slot*statuslist.NoteSize:(slot+1)*statuslist.NoteSize], NoteOf(n).Pack()) {
				t.Errorf("slot %d does not have its note", slot)
			}
		}
	})
	t.Run("an ended context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		r := open(t)
		_, _, err := r.Append(ctx, list(4), fresh(1, 3), NoteOf(1))
		_, _, _, readErr := r.Read(ctx, list(4), 0)
		if !errors.Is(err, statuslist.ErrUnavailable) || !errors.Is(readErr, statuslist.ErrUnavailable) {
			t.Errorf("append: %v; read: %v", err, readErr)
		}
	})
}
