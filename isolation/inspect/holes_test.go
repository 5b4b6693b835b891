package inspect_test

import (
	"database/sql"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation/inspect"
)

// hole is a way past isolation, planted in a database that has none.
type hole struct {
	name  string
	plant string   // run by a superuser; $app is the login role, $app_o another one
	want  []string // the lints that find it, and nothing else does
	left  []string // those whose remedies need a decision, so that running them does not mend
	opts  []inspect.Option
}

// parallel is how many databases holes are planted in at a time.
const parallel = 3

// findEach plants each hole by itself, in a transaction that is rolled back: each
// begins where nothing is found. What is found has remedies, and running them is
// the test that they mend.
func findEach(t *testing.T, sites chan *fixture, holes []hole) {
	t.Run("holes", func(t *testing.T) {
		for _, h := range holes {
			t.Run(h.name, func(t *testing.T) {
				t.Parallel()
				f := <-sites
				defer func() { sites <- f }()
				tx, err := f.root.BeginTx(t.Context(), nil)
				require.NoError(t, err)
				defer func() { assert.NoError(t, tx.Rollback()) }()
				f.find(t, tx, h)
			})
		}
	})
}

func (f *fixture) find(t *testing.T, tx *sql.Tx, h hole) {
	t.Helper()
	_, err := tx.ExecContext(t.Context(), f.names(h.plant))
	require.NoError(t, err)
	report, err := inspect.RunIn(t.Context(), tx, f.target, h.opts...)
	require.NoError(t, err)
	assert.Equal(t, h.want, lintsOf(report), "%v", report.Err(inspect.Low))

	for _, finding := range report.Findings {
		assert.NotEmpty(t, finding.Remedy, "%v", finding)
		_, err := tx.ExecContext(t.Context(), `SAVEPOINT remedy; `+finding.Remedy)
		if err != nil {
			_, back := tx.ExecContext(t.Context(), `ROLLBACK TO remedy`)
			require.NoError(t, back)
		}
		if !slices.Contains(h.left, finding.Lint) {
			assert.NoError(t, err, "%v", finding)
		}
	}
	report, err = inspect.RunIn(t.Context(), tx, f.target, h.opts...)
	require.NoError(t, err)
	assert.Equal(t, append([]string{}, h.left...), lintsOf(report), "after mending: %v", report.Err(inspect.Low))
}
