package inspect_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/pgtest"
	"github.com/tenancy-go/tenancy/isolation/inspect"
)

// BenchmarkRun inspects databases with few and with many tenant tables, each with
// two policies, a primary key, an index and a foreign key.
func BenchmarkRun(b *testing.B) {
	for _, tables := range []int{10, 500} {
		b.Run(fmt.Sprintf("%d tables", tables), func(b *testing.B) {
			f := open(b, pgtest.Open(b))
			var ddl strings.Builder
			for i := range tables {
				fmt.Fprintf(&ddl, `CREATE TABLE t%d (tenant_id text NOT NULL, id bigint, title text, parent bigint, PRIMARY KEY (tenant_id, id),
					FOREIGN KEY (tenant_id, parent) REFERENCES t%d (tenant_id, id)); CREATE INDEX ON t%d (tenant_id, title);`, i, i/2, i)
			}
			f.exec(b, ddl.String())
			require.NoError(b, f.rows(b).Install(b.Context()))
			for b.Loop() {
				report := f.run(b, inspect.Rows(f.role))
				require.Empty(b, report.Findings)
			}
		})
	}
}
