package plural_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tenancy-go/tenancy/internal/plural"
)

func TestOf(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "0 findings", plural.Of(0, "finding"))
	assert.Equal(t, "1 finding", plural.Of(1, "finding"))
	assert.Equal(t, "2 findings", plural.Of(2, "finding"))
}
