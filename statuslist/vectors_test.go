package statuslist_test

import (
	"strings"
	"testing"

	"github.com/authd-project/authd/statuslist"
)

// The examples of section 4.1 and the test vectors of appendix C of draft-ietf-oauth-status-list-21. Lists of the
// appendix have 2^20 entries, and what is not named is 0.
func TestVectorsOfTheDraft(t *testing.T) {
	for name, v := range map[string]struct {
		bits, entries int
		lst           string
		set           map[uint64]statuslist.Status
	}{
		"section 4.1, 1 bit": {
			1, 16, "eNrbuRgAAhcBXQ",
			map[uint64]statuslist.Status{0: 1, 3: 1, 4: 1, 5: 1, 7: 1, 8: 1, 9: 1, 13: 1, 15: 1},
		},
		"section 4.1, 2 bits": {
			2, 12, "eNo76fITAAPfAgc",
			map[uint64]statuslist.Status{0: 1, 1: 2, 3: 3, 5: 1, 7: 1, 8: 1, 9: 2, 10: 3, 11: 3},
		},
		"appendix C.1": {1, 1 << 20, `
			eNrt3AENwCAMAEGogklACtKQPg9LugC9k_ACvreiogEAAKkeCQAAAAAAAAAAAAAAAAAAAIBylgQAAAAAAAAAAAAAAAAAAAAAAAAA
			AAAAAAAAAAAAAAAAAAAAAAAAAAAAXG9IAAAAAAAAAPwsJAAAAAAAAAAAAAAAvhsSAAAAAAAAAAAA7KpLAAAAAAAAAAAAAAAAAAAA
			AJsLCQAAAAAAAAAAADjelAAAAAAAAAAAKjDMAQAAAACAZC8L2AEb`,
			map[uint64]statuslist.Status{
				0: 1, 1993: 1, 25460: 1, 159495: 1, 495669: 1, 554353: 1, 645645: 1, 723232: 1, 854545: 1, 934534: 1, 1000345: 1,
			},
		},
		"appendix C.2": {2, 1 << 20, `
			eNrt2zENACEQAEEuoaBABP5VIO01fCjIHTMStt9ovGVIAAAAAABAbiEBAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAEB5
			WwIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
			AAAAAAAAAID0ugQAAAAAAAAAAAAAAAAAQG12SgAAAAAAAAAAAAAAAAAAAAAAAAAAAOCSIQEAAAAAAAAAAAAAAAAAAAAAAAD8ExIA
			AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAwJEuAQAAAAAAAAAAAAAAAAAAAAAAAMB9SwIAAAAAAAAAAAAAAAAAAACoYUoA
			AAAAAAAAAAAAAEBqH81gAQw`,
			map[uint64]statuslist.Status{
				0: 1, 1993: 2, 25460: 1, 159495: 3, 495669: 1, 554353: 1, 645645: 2, 723232: 1, 854545: 1, 934534: 2, 1000345: 3,
			},
		},
		"appendix C.3": {4, 1 << 20, `
			eNrt0EENgDAQADAIHwImkIIEJEwCUpCEBBQRHOy35Li1EjoOQGabAgAAAAAAAAAAAAAAAAAAACC1SQEAAAAAAAAAAAAAAAAAAAAA
			AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
			AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
			AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABADrsCAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
			AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAADoxaEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
			AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAIIoCgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
			AAAAAAAAAACArpwKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAGhqVkAzlwIAAAAAiGVRAAAAAAAAAAAAAAAA
			AAAAAAAAAAAAAAAAAAAAAAAAAABx3AoAgLpVAQAAAAAAAAAAAAAAwM89rwMAAAAAAAAAAAjsA9xMBMA`,
			map[uint64]statuslist.Status{
				0: 1, 1993: 2, 35460: 3, 459495: 4, 595669: 5, 754353: 6, 845645: 7, 923232: 8, 924445: 9, 934534: 10, 1004534: 11,
				1000345: 12, 1030203: 13, 1030204: 14, 1030205: 15,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			list, err := statuslist.Decode(v.bits, strings.Join(strings.Fields(v.lst), ""), 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			made, err := statuslist.NewList(v.bits, v.entries)
			if err != nil {
				t.Fatal(err)
			}
			if list.Len() != v.entries || made.Len() != v.entries {
				t.Fatalf("%d and %d entries, want %d", list.Len(), made.Len(), v.entries)
			}
			for i, s := range v.set {
				if err := made.Set(i, s); err != nil {
					t.Fatal(err)
				}
			}
			for i := range uint64(v.entries) {
				got, ok := list.Get(i)
				if mine, _ := made.Get(i); !ok || got != v.set[i] || mine != v.set[i] {
					t.Fatalf("status %d: read %v, made %v, want %v", i, got, mine, v.set[i])
				}
			}
			if _, ok := list.Get(uint64(v.entries)); ok {
				t.Error("an index beyond the end was answered")
			}
			again, err := made.Encode()
			if err != nil {
				t.Fatal(err)
			}
			back, err := statuslist.Decode(v.bits, again, 1<<20)
			if err != nil || back.Len() != v.entries {
				t.Errorf("encoded and decoded again: %v", err)
			}
		})
	}
}
