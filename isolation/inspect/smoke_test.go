package inspect_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation/inspect"
)

func TestSmoke(t *testing.T) {
	var base rowsBase
	f := base.clone(t)
	require.NoError(t, f.rows(t).Verify(t.Context()))
	r := f.run(t, inspect.Rows(f.role))
	require.NoError(t, r.WriteTable(os.Stdout))
	r = f.run(t, inspect.Rows(f.role), inspect.Injection())
	require.NoError(t, r.WriteTable(os.Stdout))
}
