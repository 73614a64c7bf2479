package oauth

// The error codes of RFC 6749 sections 4.1.2.1 and 5.2, RFC 9449, OpenID Connect Core section 3.1.2.6 and its extension for
// unmet requirements.
const (
	InvalidRequest          = "invalid_request"
	InvalidClient           = "invalid_client"
	InvalidGrant            = "invalid_grant"
	InvalidScope            = "invalid_scope"
	InvalidTarget           = "invalid_target" // RFC 8693 section 2.2.2
	UnauthorizedClient      = "unauthorized_client"
	UnsupportedGrantType    = "unsupported_grant_type"
	UnsupportedResponseType = "unsupported_response_type"
	AccessDenied            = "access_denied"
	ServerError             = "server_error"
	TemporarilyUnavailable  = "temporarily_unavailable"
	LoginRequired           = "login_required"
	RequestNotSupported     = "request_not_supported"
	RequestURINotSupported  = "request_uri_not_supported"
	InvalidRequestURI       = "invalid_request_uri"
	RegistrationUnsupported = "registration_not_supported"
	UnmetRequirements       = "unmet_authentication_requirements"
)

// Error refuses a request. Its texts are for the client's developers: they never repeat what the request said.
type Error struct {
	Code        string
	Description string // printable ASCII without quotes and backslashes
	// To is where an authorization request's error goes; nil for one that only the person at the browser may see, because
	// it is not proven which client asked, or where its answers go.
	To *Target
}

// Target is a proven redirect URI, and the state that the client wants back.
type Target struct{ RedirectURI, State string }

func (e *Error) Error() string { return e.Code + ": " + e.Description }

func refuse(code, description string) *Error { return &Error{Code: code, Description: description} }

// Location returns the redirect that answers with the error. The issuer is named so that a client of several servers
// knows whose answer it is (RFC 9207).
func (t Target) Location(issuer string, e *Error) string {
	return Redirect(t.RedirectURI, [2]string{"error", e.Code}, [2]string{"error_description", e.Description},
		[2]string{"state", t.State}, [2]string{"iss", issuer})
}
