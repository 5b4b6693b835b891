package pgtest

import (
	"fmt"

	"github.com/tenancy-go/tenancy/internal/servertest"
)

// account is the user that servers run as. A nil account is the test's own.
type account = servertest.Account

// serverAccount returns nil, except under root: then postgres, else nobody.
func serverAccount() (*account, error) {
	user, err := servertest.AccountOf("postgres", "nobody")
	if err != nil {
		return nil, fmt.Errorf("pgtest: %w", err)
	}
	return user, nil
}
