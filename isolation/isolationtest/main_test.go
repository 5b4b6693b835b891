package isolationtest_test

import (
	"os"
	"testing"

	"github.com/tenancy-go/tenancy/internal/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }
