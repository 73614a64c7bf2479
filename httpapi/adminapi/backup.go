package adminapi

// BackupRequest says what a backup is to have. Its answer is the archive of package internal/backup.
type BackupRequest struct {
	// KeysOnly leaves out all but the key ring.
	KeysOnly bool `json:"keys_only,omitempty"`
}
