package adminapi

import "time"

// Factor is a second factor of somebody.
type Factor struct {
	ID        string     `json:"id"`
	Kind      string     `json:"kind"` // totp or passkey
	Name      string     `json:"name"`
	CreatedAt time.Time  `json:"created_at"`
	UsedAt    *time.Time `json:"last_used_at,omitempty"` // absent if it was never used to log in
}

// FactorList is all that somebody has enrolled, the oldest first.
type FactorList struct {
	Factors       []Factor `json:"factors"`
	RecoveryCodes int      `json:"recovery_codes"` // how many are left
}
