package envelope_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation/envelope"
)

// printed returns everything that prints, logs or marshals make of a value.
func printed(t testing.TB, v any) string {
	t.Helper()
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%b", "%o", "%c", "%U"} {
		fmt.Fprintf(&out, verb+"\n", v)
	}
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(handler).Info("message", "value", v, slog.Group("group", "value", v))
	}
	if text, err := json.Marshal(v); err == nil {
		out.Write(text)
	}
	return out.String()
}

// spellings are the ways in which bytes show up in text.
func spellings(secret []byte) []string {
	list := strings.Trim(fmt.Sprintf("%d", secret), "[]")
	return []string{
		string(secret), hex.EncodeToString(secret), strings.ToUpper(hex.EncodeToString(secret)), base64.StdEncoding.EncodeToString(secret)[:20],
		list, strings.ReplaceAll(list, " ", ", "), strings.Trim(strings.ReplaceAll(fmt.Sprintf("%#v", secret), "[]byte", ""), "{}"),
	}
}

func TestSecretsAreNeverPrinted(t *testing.T) {
	t.Parallel()
	secret := []byte("0123456789abcdefghijklmnopqrstuv")
	ring, err := envelope.NewKeyring("a", map[string][]byte{"a": bytes.Clone(secret)})
	require.NoError(t, err)
	k := newKeys(t, ring, envelope.NewMemoryStore())
	p := patient{SSN: envelope.NewField(string(secret)), Photo: envelope.NewField(secret)}
	_ = seal(t, k, "acme", ssn, "text")
	x := index(t, k, "patients", "ssn")
	_ = token(t, x, "acme", string(secret))
	for name, v := range map[string]any{
		"keyring": ring, "keyring's value": *ring, "keys": k, "index": x, "field": p.SSN, "pointer to a field": &p.SSN, "field of bytes": p.Photo,
		"struct of fields": p, "pointer to a struct": &p, "struct of all": struct {
			R *envelope.Keyring
			K *envelope.Keys
			P patient
			X *envelope.Index
		}{ring, k, p, x},
	} {
		text := printed(t, v)
		for _, spelling := range spellings(secret) {
			assert.NotContains(t, text, spelling, name)
		}
	}
	assert.Equal(t, "[redacted]", fmt.Sprint(p.SSN))
	text, err := json.Marshal(p.SSN)
	require.NoError(t, err)
	assert.Equal(t, `"[redacted]"`, string(text))
	assert.Equal(t, "envelope.Keys", fmt.Sprintf("%#v", k))
	assert.Equal(t, `envelope.Keyring["a"]`, fmt.Sprintf("%+v", ring))
}
