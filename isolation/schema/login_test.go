package schema_test

import (
	"database/sql/driver"
	"strings"

	"github.com/tenancy-go/tenancy/isolation/postgres"
	"github.com/tenancy-go/tenancy/isolation/schema"
)

// loginRoles is the option that gives each tenant a login of its own.
func (f *fixture) loginRoles() schema.Option {
	return schema.LoginRoles([]byte(strings.Repeat("s", 32)), func(role, password string) (driver.Connector, error) {
		return postgres.NewConnector(f.As(role, password))
	})
}
