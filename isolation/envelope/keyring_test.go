package envelope_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation/envelope"
	"github.com/tenancy-go/tenancy/isolation/envelope/envelopetest"
)

func TestKeyring(t *testing.T) {
	t.Parallel()
	envelopetest.TestProvider(t, func(t *testing.T) envelope.Provider { return keyring(t, "a", "b") })
}

func TestKeyringFromFile(t *testing.T) {
	t.Parallel()
	envelopetest.TestProvider(t, func(t *testing.T) envelope.Provider {
		path := filepath.Join(t.TempDir(), "keys")
		require.NoError(t, envelope.CreateKeyFile(path, "first"))
		return openKeyring(t, path)
	})
}

// cloud is a service like those of clouds: keys by name, which encrypt together with a
// context of strings.
type cloud struct{ current string }

func (c cloud) KeyID() string { return c.current }

func (c cloud) aead(t envelope.Binding, name string) (cipher.AEAD, []byte, error) {
	if name != "projects/saas/keys/one" {
		return nil, nil, envelope.ErrUnknownKey
	}
	block, err := aes.NewCipher(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		return nil, nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, nil, err
	}
	context, err := json.Marshal(t.Map()) // sorted by key
	return aead, context, err
}

func (c cloud) Wrap(_ context.Context, key []byte, b envelope.Binding) (envelope.Wrapped, error) {
	aead, context, err := c.aead(b, c.current)
	if err != nil {
		return envelope.Wrapped{}, err
	}
	return envelope.Wrapped{KeyID: c.current, Blob: aead.Seal(nil, nil, key, context)}, nil
}

func (c cloud) Unwrap(_ context.Context, w envelope.Wrapped, b envelope.Binding) ([]byte, error) {
	aead, context, err := c.aead(b, w.KeyID)
	if err != nil {
		return nil, err
	}
	key, err := aead.Open(nil, nil, w.Blob, context)
	if err != nil {
		return nil, envelope.ErrUnwrap
	}
	return key, nil
}

func TestACloudFits(t *testing.T) {
	t.Parallel()
	envelopetest.TestProvider(t, func(*testing.T) envelope.Provider { return cloud{"projects/saas/keys/one"} })
}

func openKeyring(t testing.TB, path string) *envelope.Keyring {
	t.Helper()
	r, err := envelope.OpenKeyring(path)
	require.NoError(t, err)
	return r
}

// A wrapped key that says another key of the ring wrapped it does not unwrap.
func TestWrappingKeysAreTold(t *testing.T) {
	t.Parallel()
	b := envelope.Binding{Tenant: "acme", Purpose: envelope.Fields, Version: 1}
	same := bytes.Repeat([]byte{1}, 32)
	r, err := envelope.NewKeyring("a", map[string][]byte{"a": same, "b": same, "c": bytes.Repeat([]byte{2}, 32)})
	require.NoError(t, err)
	w, err := r.Wrap(t.Context(), bytes.Repeat([]byte{3}, 32), b)
	require.NoError(t, err)
	for _, id := range []string{"b", "c"} {
		w.KeyID = id
		_, err = r.Unwrap(t.Context(), w, b)
		require.ErrorIs(t, err, envelope.ErrUnwrap, id)
	}
}

func TestNewKeyringRefuses(t *testing.T) {
	t.Parallel()
	key := bytes.Repeat([]byte{1}, 32)
	for name, keys := range map[string]map[string][]byte{
		"no keys": nil, "no current": {"b": key}, "short": {"a": key[:16]}, "bad ID": {"a": key, "a b": key}, "empty ID": {"a": key, "": key},
		"long ID": {"a": key, strings.Repeat("a", 129): key},
	} {
		_, err := envelope.NewKeyring("a", keys)
		require.Error(t, err, name)
	}
}

func TestKeyringFromEnv(t *testing.T) {
	const name = "TENANCY_TEST_WRAPPING_KEYS"
	one, two := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("n"), 32)), base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("o"), 32))
	t.Setenv(name, "new:"+one+", old:"+two)
	r, err := envelope.KeyringFromEnv(name)
	require.NoError(t, err)
	assert.Equal(t, "new", r.KeyID())

	s := envelope.NewMemoryStore()
	ring, err := envelope.NewKeyring("old", map[string][]byte{"old": bytes.Repeat([]byte("o"), 32)})
	require.NoError(t, err)
	sealed := seal(t, newKeys(t, ring, s), "acme", ssn, "secret")
	requireOpens(t, newKeys(t, r, s), "acme", ssn, sealed, "secret")

	for _, bad := range []string{"", one, ":" + one, "new:", "new:" + one[:20], "new:" + one + "," + "new:" + two, "new:" + one + ",", "a b:" + one, "new:" + one + "AAAA"} {
		t.Setenv(name, bad)
		_, err = envelope.KeyringFromEnv(name)
		require.Error(t, err, bad)
		assert.NotContains(t, err.Error(), one[:10])
	}
	require.NoError(t, os.Unsetenv(name))
	_, err = envelope.KeyringFromEnv(name)
	require.ErrorContains(t, err, name)
}

func TestKeyFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys")
	require.NoError(t, envelope.CreateKeyFile(path, "one"))
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, fs.FileMode(0o600), info.Mode())
	require.ErrorIs(t, envelope.CreateKeyFile(path, "one"), fs.ErrExist)
	s := envelope.NewMemoryStore()
	sealed := seal(t, newKeys(t, openKeyring(t, path), s), "acme", ssn, "secret")

	require.NoError(t, envelope.AddKey(path, "two"))
	require.Error(t, envelope.AddKey(path, "two"), "an ID counts once")
	require.Error(t, envelope.AddKey(path, "a b"))
	assert.Equal(t, "one", openKeyring(t, path).KeyID(), "a new key unwraps at first")
	require.NoError(t, envelope.MakeCurrent(path, "two"))
	require.ErrorIs(t, envelope.MakeCurrent(path, "three"), envelope.ErrUnknownKey)
	k := newKeys(t, openKeyring(t, path), s)
	_, err = k.Rewrap(system(t), nil)
	require.NoError(t, err)

	require.Error(t, envelope.RemoveKey(path, "two"), "the current one stays")
	require.ErrorIs(t, envelope.RemoveKey(path, "three"), envelope.ErrUnknownKey)
	require.NoError(t, envelope.RemoveKey(path, "one"))
	r := openKeyring(t, path)
	assert.Equal(t, `envelope.Keyring["two"]`, r.String())
	requireOpens(t, newKeys(t, r, s), "acme", ssn, sealed, "secret")

	left, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	assert.Len(t, left, 1, "nothing is left beside it")
}

func TestKeyFileOfToday(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys")
	require.NoError(t, envelope.CreateKeyFile(path, ""))
	assert.Regexp(t, `^20\d\d-\d\d-\d\d$`, openKeyring(t, path).KeyID())
}

func TestKeyFilesOpenToOthersAreRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys")
	require.NoError(t, envelope.CreateKeyFile(path, "one"))
	for _, mode := range []fs.FileMode{0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o644, 0o666} {
		require.NoError(t, os.Chmod(path, mode))
		_, err := envelope.OpenKeyring(path)
		require.ErrorIs(t, err, envelope.ErrPermissions, "%o", mode)
		require.ErrorIs(t, envelope.AddKey(path, "two"), envelope.ErrPermissions)
	}
	for _, mode := range []fs.FileMode{0o600, 0o400} {
		require.NoError(t, os.Chmod(path, mode))
		_ = openKeyring(t, path)
	}
	link := path + ".link"
	require.NoError(t, os.Symlink(path, link))
	_ = openKeyring(t, link) // as orchestrators mount secrets
	require.NoError(t, os.Chmod(path, 0o644))
	_, err := envelope.OpenKeyring(link)
	require.ErrorIs(t, err, envelope.ErrPermissions, "what counts is the file, not the link")
	_, err = envelope.OpenKeyring(filepath.Dir(path))
	require.ErrorContains(t, err, "no regular file")
	_, err = envelope.OpenKeyring(path + ".none")
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestDamagedKeyFilesAreRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys")
	require.NoError(t, envelope.CreateKeyFile(path, "one"))
	good, err := os.ReadFile(path)
	require.NoError(t, err)
	_, line, _ := strings.Cut(string(good), "\n")
	for name, text := range map[string]string{
		"empty": "", "comments alone": "# nothing\n", "half a key": line[:20] + "\n", "an ID alone": "one\n", "twice": line + line,
		"too long": line + strings.Repeat("#", 1<<20),
	} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		_, err := envelope.OpenKeyring(path)
		require.Error(t, err, name)
		assert.NotContains(t, err.Error(), line[5:15], name)
		require.Error(t, envelope.AddKey(path, "two"))
		left, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, text, string(left), "%s: it is left as it is", name)
	}
}

// Writers exclude each other, so that no key is lost.
func TestKeyFileHasOneWriter(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys")
	require.NoError(t, envelope.CreateKeyFile(path, "k"))
	added := make(chan string)
	for i := range 20 {
		go func() {
			id := fmt.Sprintf("k%d", i)
			if envelope.AddKey(path, id) != nil {
				id = ""
			}
			added <- id
		}()
	}
	want := 1
	var ids []string
	for range 20 {
		if id := <-added; id != "" {
			ids, want = append(ids, id), want+1
		}
	}
	text := openKeyring(t, path).String()
	for _, id := range ids {
		assert.Contains(t, text, `"`+id+`"`)
	}
	assert.Equal(t, want, strings.Count(text, `"`)/2)

	require.NoError(t, os.WriteFile(path+".lock", nil, 0o600))
	require.ErrorContains(t, envelope.AddKey(path, "late"), path+".lock")
}
