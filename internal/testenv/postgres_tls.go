package testenv

import (
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// certify gives the server a certificate of its own making, where PostgreSQL looks for it.
func (s *PostgresServer) certify() error {
	certificate, private, err := selfSigned("PostgreSQL for tests")
	if err != nil {
		return err
	}
	s.CA = filepath.Join(s.data(), "server.crt")
	return errors.Join(s.writePEM(s.CA, "CERTIFICATE", certificate),
		s.writePEM(filepath.Join(s.data(), "server.key"), "PRIVATE KEY", private))
}

func (s *PostgresServer) writePEM(name, kind string, der []byte) error {
	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return s.give(name)
}
