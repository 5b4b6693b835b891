package main

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRun(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out))
	assert.Equal(t, `Acme note 1: rockets
Acme note 2: anvils
Globex note 1: lasers
refused: isolation: tenant: no tenant in the statement's context; pass on the request's, or use tenant.NewContext
`, out.String())
	left, err := os.ReadDir(temp)
	require.NoError(t, err)
	assert.Empty(t, left, "it cleans up after itself")
}
