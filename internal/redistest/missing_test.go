package redistest

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// recorder is a test that notes how it was ended.
type recorder struct {
	testing.TB
	skipped, failed bool
}

func (r *recorder) Helper()      {}
func (r *recorder) Skip(...any)  { r.skipped = true }
func (r *recorder) Fatal(...any) { r.failed = true }

func TestAMissingServerSkipsOrFails(t *testing.T) {
	tests := []struct {
		name, ci, require string
		fails             bool
	}{
		{name: "on a developer's machine"},
		{name: "in CI", ci: "true", fails: true},
		{name: "where servers are required", require: "1", fails: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("CI", tt.ci)
			t.Setenv("TENANCY_REQUIRE_SERVERS", tt.require)
			t.Setenv("PATH", "")
			r := &recorder{TB: t}
			_, err := newServer(r, config{})
			demand(r, err)
			assert.Equal(t, tt.fails, r.failed)
			assert.Equal(t, !tt.fails, r.skipped)
		})
	}
}
