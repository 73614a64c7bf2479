package ssf

import (
	"maps"
	"slices"

	"github.com/authd-project/authd/audit"
)

// The types of events.
const (
	SessionRevoked   = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
	CredentialChange = "https://schemas.openid.net/secevent/caep/event-type/credential-change"
	AccountDisabled  = "https://schemas.openid.net/secevent/risc/event-type/account-disabled"
	AccountEnabled   = "https://schemas.openid.net/secevent/risc/event-type/account-enabled"
	AccountPurged    = "https://schemas.openid.net/secevent/risc/event-type/account-purged"

	verification  = "https://schemas.openid.net/secevent/ssf/event-type/verification"
	streamUpdated = "https://schemas.openid.net/secevent/ssf/event-type/stream-updated"
)

// Supported returns the types of events that a receiver can ask for.
func Supported() []string {
	return []string{SessionRevoked, CredentialChange, AccountDisabled, AccountEnabled, AccountPurged}
}

// SubjectID is a subject identifier (RFC 9493), or one that is made of several (SSF section 3.3).
type SubjectID map[string]any

// Claims are those of a Security Event Token. There is no "exp" and no "sub", by which it could be taken for another JWT.
type Claims struct {
	Issuer      string                    `json:"iss"`
	ID          string                    `json:"jti"`
	IssuedAt    int64                     `json:"iat"` // Unix seconds
	Audience    string                    `json:"aud"`
	Transaction string                    `json:"txn,omitempty"`
	SubjectID   SubjectID                 `json:"sub_id"`
	Events      map[string]map[string]any `json:"events"`
}

// event is one that all streams may be interested in.
type event struct {
	kind    string
	subject SubjectID
	user    string // the "sub" that it is about, for streams that leave subjects out; empty for more than one
	members map[string]any
}

// fromAudit says what an audit event means to other services; ok is false if nothing.
func fromAudit(issuer string, e audit.Event) (_ event, ok bool) {
	if e.Outcome != audit.Success {
		return event{}, false
	}
	out := event{user: e.Subject, subject: user(issuer, e.Subject), members: map[string]any{
		"event_timestamp": e.Time.Unix(), "initiating_entity": initiator(e),
	}}
	switch e.Type {
	case audit.SessionEnded:
		out.kind, out.subject = SessionRevoked, SubjectID{
			"format": "complex", "user": user(issuer, e.Subject), "session": opaque(e.SessionID),
		}
	case audit.SubjectRevoked:
		out.kind = SessionRevoked
	case audit.ClientRevoked:
		out.kind, out.subject = SessionRevoked, SubjectID{"format": "complex", "application": opaque(e.Details["client_id"])}
	case audit.EverythingRevoked:
		out.kind, out.subject = SessionRevoked, SubjectID{"format": "complex", "tenant": opaque(issuer)}
	case audit.PasswordChanged:
		out.kind = CredentialChange
		maps.Copy(out.members, map[string]any{"credential_type": "password", "change_type": "update"})
	case audit.FactorAdded, audit.FactorRemoved, audit.FactorsReset:
		return factorChange(out, e)
	case audit.UserDisabled:
		out.kind = AccountDisabled
	case audit.UserEnabled:
		out.kind = AccountEnabled
	case audit.UserRemoved:
		out.kind = AccountPurged
	default:
		return event{}, false
	}
	return out, out.user != "" || e.Type == audit.ClientRevoked || e.Type == audit.EverythingRevoked
}

// factorChange tells of a second factor by the kinds that CAEP knows; of one whose kind is not known it says "app".
func factorChange(out event, e audit.Event) (event, bool) {
	out.kind = CredentialChange
	credential, change := "app", "create"
	if e.Details["kind"] == "passkey" {
		credential = "fido2-roaming"
	}
	if e.Type != audit.FactorAdded {
		change = "delete"
	}
	maps.Copy(out.members, map[string]any{"credential_type": credential, "change_type": change})
	return out, out.user != ""
}

// initiator is who caused an event, in the words of CAEP section 2.
func initiator(e audit.Event) string {
	switch {
	case e.Actor.Type == audit.Admin:
		return "admin"
	case e.Actor.Type == audit.User:
		return "user"
	case e.Type == audit.SessionEnded && slices.Contains([]string{"reuse", "refusal"}, e.Reason):
		return "policy"
	}
	return "system"
}

func user(issuer, subject string) SubjectID {
	return SubjectID{"format": "iss_sub", "iss": issuer, "sub": subject}
}

func opaque(id string) SubjectID { return SubjectID{"format": "opaque", "id": id} }
