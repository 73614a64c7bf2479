package adminapi

// BackupRequest says what a backup is to have besides what is stored. Its answer is the archive of package internal/backup.
type BackupRequest struct {
	// WithKEK adds the key-encryption keys, without which nobody can use the keys and second factors that are in it.
	WithKEK bool `json:"with_kek,omitempty"`
	// KeysOnly leaves out all but the key ring.
	KeysOnly bool `json:"keys_only,omitempty"`
}
