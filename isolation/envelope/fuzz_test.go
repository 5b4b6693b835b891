package envelope_test

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation/envelope"
)

func FuzzOpen(f *testing.F) {
	k := fresh(f)
	good := seal(f, k, "acme", ssn, "text")
	f.Add([]byte(good))
	f.Add([]byte{})
	f.Add([]byte(good[:10]))
	f.Fuzz(func(t *testing.T, s []byte) {
		plain, err := k.Open(as(t, "acme"), ssn, s)
		if err == nil {
			assert.Equal(t, []byte(good), s, "only what was sealed opens")
			assert.Equal(t, "text", string(plain))
			return
		}
		assert.ErrorIs(t, err, envelope.ErrOpen)
		var field envelope.Field[string]
		require.NoError(t, field.Scan(s))
		if s != nil {
			assert.ErrorIs(t, field.Open(as(t, "acme"), k, ssn), envelope.ErrOpen)
		}
	})
}

func FuzzKeyFile(f *testing.F) {
	key := base64.StdEncoding.EncodeToString(make([]byte, 32))
	f.Add([]byte("# comment\n2026 " + key + "\n"))
	f.Add([]byte("a " + key + "\nb " + key))
	f.Add([]byte("a\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "keys")
		require.NoError(t, os.WriteFile(path, text, 0o600))
		before, err := envelope.OpenKeyring(path)
		if err != nil {
			return
		}
		require.NoError(t, envelope.MakeCurrent(path, before.KeyID()))
		after, err := envelope.OpenKeyring(path)
		require.NoError(t, err)
		assert.Equal(t, before.String(), after.String(), "what was read is written the same")
	})
}

func FuzzKeyringFromEnv(f *testing.F) {
	key := base64.StdEncoding.EncodeToString(make([]byte, 32))
	f.Add("a:" + key)
	f.Add("a:" + key + ",b:" + key)
	f.Add(",:")
	f.Fuzz(func(t *testing.T, value string) {
		const name = "TENANCY_TEST_FUZZED_KEYS"
		if os.Setenv(name, value) != nil { //nolint:usetesting // some values are refused, which t.Setenv takes for a failure
			return
		}
		ring, err := envelope.KeyringFromEnv(name)
		if err != nil {
			return
		}
		b := envelope.Binding{Tenant: "acme", Purpose: envelope.Fields, Version: 1}
		w, err := ring.Wrap(t.Context(), make([]byte, 32), b)
		require.NoError(t, err)
		_, err = ring.Unwrap(t.Context(), w, b)
		require.NoError(t, err)
	})
}
