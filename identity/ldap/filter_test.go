package ldap

import (
	"bytes"
	"testing"

	goldap "github.com/go-ldap/ldap/v3"
)

// Whatever is typed, it is one value of the one attribute, as it was typed.
func FuzzEquals(f *testing.F) {
	for _, value := range []string{
		"", "alice", "*", "a*", "(", ")", `\`, `\2a`, "\x00", "alice)(uid=*", "*)(objectClass=*))(|(uid=*", "jos\u00e9", "\xff", " alice ",
		"a=b", "a:=b", "a:dn:2.5.13.5:=b", "&", "|", "!", "~=", "\r\n", "\x01\x02", "uid=alice,ou=people", "<", ">=1",
	} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		packet, err := goldap.CompileFilter(equals("uid", value))
		if err != nil {
			t.Fatalf("%q makes a filter that cannot be compiled: %v", value, err)
		}
		if packet.Tag != goldap.FilterEqualityMatch || len(packet.Children) != 2 {
			t.Fatalf("%q makes another filter: %s", value, goldap.FilterMap[uint64(packet.Tag)])
		}
		if got := packet.Children[0].Data.String(); got != "uid" {
			t.Errorf("%q makes a filter of the attribute %q", value, got)
		}
		if got := packet.Children[1].Data.Bytes(); !bytes.Equal(got, []byte(value)) {
			t.Errorf("%q is looked for as %q", value, got)
		}

		whole, err := goldap.CompileFilter(both("(objectClass=person)", anyOf([]string{"uid", "mail"}, value)))
		if err != nil {
			t.Fatalf("%q: %v", value, err)
		}
		if whole.Tag != goldap.FilterAnd || len(whole.Children) != 2 || len(whole.Children[1].Children) != 2 {
			t.Errorf("%q changes what it is put into", value)
		}
	})
}

// The example is Microsoft's (MS-DTYP section 2.3.4.3): what its tools print for these bytes.
func TestGUID(t *testing.T) {
	raw := []byte{0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}
	const text = "00112233-4455-6677-8899-aabbccddeeff"
	c := Config{Subject: "objectguid"}
	e := &goldap.Entry{Attributes: []*goldap.EntryAttribute{{Name: "objectGUID", Values: []string{string(raw)}, ByteValues: [][]byte{raw}}}}
	if got := c.subjectOf(e); got != text {
		t.Errorf("the subject is %s, want %s", got, text)
	}
	if got, ok := c.subjectValue(text); !ok || got != string(raw) {
		t.Errorf("the subject leads to %x, %v", got, ok)
	}
	for _, bad := range []string{"", "00112233", text + "00", "zz112233-4455-6677-8899-aabbccddeeff"} {
		if _, ok := c.subjectValue(bad); ok {
			t.Errorf("%q is taken for a GUID", bad)
		}
	}
	e.Attributes[0].ByteValues[0] = raw[:8]
	if got := c.subjectOf(e); got != "" {
		t.Errorf("half a GUID is the subject %s", got)
	}
}
