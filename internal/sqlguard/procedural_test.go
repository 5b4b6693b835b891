package sqlguard_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tenancy-go/tenancy/internal/sqlguard"
)

func TestIsProcedural(t *testing.T) {
	t.Parallel()
	for _, query := range []string{"CALL p()", "call p()", " /* a */ Do $$ BEGIN END $$", "SELECT 1; CALL p()", ";;call p()", "-- x\nCALL p()", "SELECT ';'; do 'x'"} {
		assert.True(t, sqlguard.IsProcedural(query), query)
	}
	for _, query := range []string{"", "SELECT 1", "SELECT call FROM t", `"call" p()`, "SELECT '; CALL p()'", "INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING", "SELECT $$; CALL p()$$", "-- ; CALL p()"} {
		assert.False(t, sqlguard.IsProcedural(query), query)
	}
}
