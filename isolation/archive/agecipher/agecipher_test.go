package agecipher_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation/archive/agecipher"
)

func seal(t testing.TB, c *agecipher.Cipher, text string) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := c.Encrypt(t.Context(), "acme", &out)
	require.NoError(t, err)
	_, err = io.WriteString(w, text)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

func TestOnlyTheIdentityReads(t *testing.T) {
	t.Parallel()
	mine, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	other, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	writer, err := agecipher.New([]age.Recipient{mine.Recipient()}, nil)
	require.NoError(t, err)
	sealed := seal(t, writer, "rows")
	assert.NotContains(t, string(sealed), "rows")

	reader, err := agecipher.New(nil, []age.Identity{mine})
	require.NoError(t, err)
	clear, err := reader.Decrypt(t.Context(), "acme", bytes.NewReader(sealed))
	require.NoError(t, err)
	text, err := io.ReadAll(clear)
	require.NoError(t, err)
	assert.Equal(t, "rows", string(text))

	thief, err := agecipher.New(nil, []age.Identity{other})
	require.NoError(t, err)
	_, err = thief.Decrypt(t.Context(), "acme", bytes.NewReader(sealed))
	assert.Error(t, err)

	// What was cut is noticed.
	clear, err = reader.Decrypt(t.Context(), "acme", bytes.NewReader(sealed[:len(sealed)-1]))
	if err == nil {
		_, err = io.ReadAll(clear)
	}
	assert.Error(t, err)
}

func TestMissingKeys(t *testing.T) {
	t.Parallel()
	_, err := agecipher.New(nil, nil)
	require.Error(t, err)
	identity, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	reader, err := agecipher.New(nil, []age.Identity{identity})
	require.NoError(t, err)
	_, err = reader.Encrypt(t.Context(), "acme", io.Discard)
	require.Error(t, err)
	writer, err := agecipher.New([]age.Recipient{identity.Recipient()}, nil)
	require.NoError(t, err)
	_, err = writer.Decrypt(t.Context(), "acme", bytes.NewReader(nil))
	require.Error(t, err)
}

func ExampleNew() {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		fmt.Println(err)
		return
	}
	cipher, err := agecipher.New([]age.Recipient{identity.Recipient()}, []age.Identity{identity})
	if err != nil {
		fmt.Println(err)
		return
	}
	var sealed bytes.Buffer
	w, err := cipher.Encrypt(context.Background(), "acme", &sealed)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = io.WriteString(w, "acme's rows")
	_ = w.Close()
	clear, err := cipher.Decrypt(context.Background(), "acme", &sealed)
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := io.ReadAll(clear)
	fmt.Println(string(text), err)
	// Output: acme's rows <nil>
}

func BenchmarkEncrypt(b *testing.B) {
	identity, err := age.GenerateX25519Identity()
	require.NoError(b, err)
	cipher, err := agecipher.New([]age.Recipient{identity.Recipient()}, nil)
	require.NoError(b, err)
	block := make([]byte, 1<<20)
	b.SetBytes(int64(len(block)))
	w, err := cipher.Encrypt(b.Context(), "acme", io.Discard)
	require.NoError(b, err)
	for b.Loop() {
		_, err := w.Write(block)
		require.NoError(b, err)
	}
	require.NoError(b, w.Close())
}
