package hostileissuer_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"slices"
	"strings"

	"github.com/authd-project/authd/keys/hostileissuer"
)

// naive is a client that fetches the set for every token, and trusts whatever it finds. It looks at nothing in a token
// but its kid and its signature.
type naive hostileissuer.Settings

func startNaive(_ context.Context, s hostileissuer.Settings) (hostileissuer.Verifier, error) {
	return naive(s), nil
}

func (n naive) Verify(ctx context.Context, raw string) error {
	parts := strings.Split(raw, ".")
	var header struct{ Kid string }
	if err := json.Unmarshal(unbase64(parts[0]), &header); err != nil {
		return fmt.Errorf("header: %w", err)
	}
	key, err := n.fetch(ctx, header.Kid)
	if err != nil {
		return err
	}
	sum, signature := sha256.Sum256([]byte(parts[0]+"."+parts[1])), unbase64(parts[2])
	if len(signature) != 64 || !ecdsa.Verify(key, sum[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])) {
		return errors.New("bad signature")
	}
	return nil
}

func (n naive) fetch(ctx context.Context, kid string) (*ecdsa.PublicKey, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.JWKSURL, nil)
	if err != nil {
		return nil, err
	}
	resp, err := n.Client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 65<<20)) // not that naive: memory is finite
	if err != nil {
		return nil, err
	}
	var set struct{ Keys []struct{ Kid, X, Y string } }
	if err := json.Unmarshal(bytes.TrimSpace(body), &set); err != nil { // else mebibytes of space cost minutes
		return nil, err
	}
	for _, k := range set.Keys {
		if k.Kid == kid {
			return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, unbase64(k.X), unbase64(k.Y)))
		}
	}
	return nil, errors.New("unknown key")
}

func unbase64(s string) []byte {
	b, _ := base64.RawURLEncoding.DecodeString(s) // of nonsense, nothing
	return b
}
