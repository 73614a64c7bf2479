package adminclient

import (
	"context"
	"net/http"

	"github.com/authd-project/authd/httpapi/adminapi"
)

// Factors lists a user's second factors.
func (c *Client) Factors(ctx context.Context, username string) (adminapi.FactorList, error) {
	var list adminapi.FactorList
	err := c.call(ctx, http.MethodGet, nil, nil, &list, "admin", "users", username, "factors")
	return list, err
}

// ResetFactors removes all second factors of a user and ends the sessions.
func (c *Client) ResetFactors(ctx context.Context, username string) error {
	return c.call(ctx, http.MethodDelete, nil, nil, nil, "admin", "users", username, "factors")
}
