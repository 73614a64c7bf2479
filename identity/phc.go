package identity

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// ErrHash means that a stored hash is malformed, of an unknown kind, or more expensive than authd is willing to run.
var ErrHash = errors.New("stored password hash not usable")

// Sizes in bytes. What is written has 16 and 32 (RFC 9106 section 4); what is read may come from another system.
const (
	saltSize, keySize       = 16, 32
	minSaltSize, minKeySize = 8, 16
	maxSaltSize, maxKeySize = 64, 64

	bcryptHashSize  = 60
	bcryptSaltStart = 7
	maxHashSize     = 256 // of a whole encoded hash
)

// storedHash is a decoded password hash: argon2id, or bcrypt when bcrypt is not nil.
type storedHash struct {
	params    Params
	salt, key []byte

	bcrypt     []byte // the whole encoded hash
	bcryptCost int
}

// String returns the PHC string, the form in which hashes are stored:
//
//	$argon2id$v=19$m=19456,t=2,p=1$<salt>$<key>     salt and key in base64 without padding
func (s storedHash) String() string {
	if s.bcrypt != nil {
		return string(s.bcrypt)
	}
	enc := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version,
		s.params.Memory, s.params.Time, s.params.Threads, enc.EncodeToString(s.salt), enc.EncodeToString(s.key))
}

// parseHash decodes a stored hash. It is strict: one spelling for each hash, nothing optional, every size and cost
// bounded. The error wraps ErrHash and never quotes the hash.
func parseHash(encoded string) (storedHash, error) {
	switch {
	case len(encoded) > maxHashSize:
		return storedHash{}, fmt.Errorf("%w: longer than %d bytes", ErrHash, maxHashSize)
	case strings.HasPrefix(encoded, "$argon2id$"):
		return parseArgon2id(encoded)
	case strings.HasPrefix(encoded, "$2"):
		return parseBcrypt(encoded)
	}
	return storedHash{}, fmt.Errorf("%w: neither argon2id nor bcrypt", ErrHash)
}

func parseArgon2id(encoded string) (storedHash, error) {
	fields := strings.Split(encoded, "$") // "", "argon2id", version, costs, salt, key
	if len(fields) != 6 {
		return storedHash{}, fmt.Errorf("%w: argon2id: want 5 fields, have %d", ErrHash, len(fields)-1)
	}
	if fields[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return storedHash{}, fmt.Errorf("%w: argon2id: want version %d", ErrHash, argon2.Version)
	}
	var s storedHash
	var err error
	if s.params, err = parseCosts(fields[3]); err != nil {
		return storedHash{}, fmt.Errorf("%w: %w", ErrHash, err)
	}
	if s.salt, err = parseBytes(fields[4], minSaltSize, maxSaltSize); err != nil {
		return storedHash{}, fmt.Errorf("%w: argon2id salt: %w", ErrHash, err)
	}
	if s.key, err = parseBytes(fields[5], minKeySize, maxKeySize); err != nil {
		return storedHash{}, fmt.Errorf("%w: argon2id key: %w", ErrHash, err)
	}
	return s, nil
}

// parseCosts reads "m=19456,t=2,p=1".
func parseCosts(field string) (Params, error) {
	costs := strings.Split(field, ",")
	if len(costs) != 3 {
		return Params{}, errors.New("argon2id: want the costs m, t and p")
	}
	memory, err := parseCost(costs[0], "m=", 32)
	if err != nil {
		return Params{}, err
	}
	time, err := parseCost(costs[1], "t=", 32)
	if err != nil {
		return Params{}, err
	}
	threads, err := parseCost(costs[2], "p=", 8)
	if err != nil {
		return Params{}, err
	}
	p := Params{Memory: uint32(memory), Time: uint32(time), Threads: uint8(threads)}
	return p, p.Validate()
}

// parseCost reads a decimal number without sign or leading zero after its name.
func parseCost(field, name string, bits int) (uint64, error) {
	digits, ok := strings.CutPrefix(field, name)
	if !ok {
		return 0, fmt.Errorf("argon2id: want the cost %q in its place", name)
	}
	n, err := strconv.ParseUint(digits, 10, bits)
	if err != nil || digits[0] == '0' || digits[0] == '+' {
		return 0, fmt.Errorf("argon2id: cost %q: want a decimal number of at most %d bits", name, bits)
	}
	return n, nil
}

func parseBytes(field string, least, most int) ([]byte, error) {
	if strings.ContainsAny(field, "\r\n") { // the decoder skips line breaks
		return nil, errors.New("not base64")
	}
	b, err := base64.RawStdEncoding.Strict().DecodeString(field)
	if err != nil {
		return nil, errors.New("not base64 without padding")
	}
	if len(b) < least || len(b) > most {
		return nil, fmt.Errorf("%d bytes: want %d to %d", len(b), least, most)
	}
	return b, nil
}

// parseBcrypt takes the kinds 2a, 2b and 2y, which differ in nothing but the name:
//
//	$2b$10$<22 characters of salt><31 of key>
func parseBcrypt(encoded string) (storedHash, error) {
	if len(encoded) != bcryptHashSize || !strings.ContainsRune("aby", rune(encoded[2])) ||
		encoded[3] != '$' || encoded[bcryptSaltStart-1] != '$' {
		return storedHash{}, fmt.Errorf("%w: bcrypt: want %d bytes of kind 2a, 2b or 2y", ErrHash, bcryptHashSize)
	}
	const alphabet = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	if strings.TrimLeft(encoded[bcryptSaltStart:], alphabet) != "" {
		return storedHash{}, fmt.Errorf("%w: bcrypt: not its base64", ErrHash)
	}
	cost, err := strconv.Atoi(encoded[4 : bcryptSaltStart-1])
	if err != nil || cost < bcrypt.MinCost || cost > maxBcryptCost || encoded[4] == '+' {
		return storedHash{}, fmt.Errorf("%w: bcrypt cost: want %d to %d", ErrHash, bcrypt.MinCost, maxBcryptCost)
	}
	return storedHash{bcrypt: []byte(encoded), bcryptCost: cost}, nil
}

// decoy returns a hash of the same kind and cost that belongs to nobody.
func (s storedHash) decoy() storedHash {
	if s.bcrypt != nil {
		s.bcrypt = []byte(string(s.bcrypt[:bcryptSaltStart]) + strings.Repeat(".", bcryptHashSize-bcryptSaltStart))
		return s
	}
	s.salt, s.key = make([]byte, len(s.salt)), make([]byte, len(s.key))
	return s
}
