package dpop

// ThumbprintOf returns the thumbprint of a JWK.
func ThumbprintOf(jwk string) (string, error) {
	key, err := readKey([]byte(jwk))
	if err != nil {
		return "", err
	}
	return Thumbprint(key)
}
