package row_test

import (
	"context"
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/isolationtest"
	"github.com/tenancy-go/tenancy/isolation/row"
)

// TestUnforgeableStrategies is TestStrategy in the modes that SQL cannot forge, on
// databases that are hardened.
func TestUnforgeableStrategies(t *testing.T) {
	t.Parallel()
	tables := []struct {
		name       string
		migrations fs.FS
	}{{"text", isolationtest.SharedTables()}, {"uuid", isolationtest.SharedUUIDTables()}}
	for i, m := range unforgeable {
		for j, of := range tables {
			t.Run(m.name+", "+of.name, func(t *testing.T) {
				t.Parallel()
				f := open(t, `CREATE ROLE $app_system LOGIN BYPASSRLS PASSWORD '`+password+`'`)
				s := f.strategy(t, m.mode(newKey(t, "k1")),
					row.Migrations(of.migrations), row.System(f.connector(t, f.db.As(f.role+"_system", password))))
				require.NoError(t, s.Migrate(t.Context(), acme))
				f.exec(t, `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO $app_system`)

				runPart(t, i*len(tables)+j, len(unforgeable)*len(tables), func(t *testing.T, opts ...isolation.Option) isolationtest.Target {
					pool, err := isolation.New(s, opts...)
					require.NoError(t, err)
					provision, deprovision := f.provisioner(s)
					return isolationtest.Target{
						Pool:        pool,
						Provision:   provision,
						Deprovision: deprovision,
						Shared:      true,
						System:      true,
						CopyIn:      true,
						Limits:      true,
						Size:        s.Size,
						Kill:        func(ctx context.Context) error { return kill(ctx, f.admin, f.role) },
					}
				})
			})
		}
	}
}
