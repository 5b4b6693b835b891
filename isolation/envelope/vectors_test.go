package envelope_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation/internal/xaes"
)

// Made once by this package, with a wrapping key of 32 times the letter a.
const (
	vectorWrapped       = "f90fc1278b415fe208ef3db1e70a14c8df9cc257406cd2714506b75996979c712ff26cf7183ddd611cb5cc787dcda4e856c320fd658a19e2fb1e675a56d318f3f8a56415bb334ff2ff"
	vectorWrappedIndex  = "f98719356fe87fc4ef1d423a1ed5abdbc1a4a0c8e6bd2a4939d43492cb76fd7a4decae704fa9d9a631f82e0efc1e06e9a2ec4e5ca417e54e4be81e9c3c4a14a15a8f250e0af6fdca19"
	vectorWrappedStream = "f93d3f691057aee9314da7503589dc8c38d57b54448587242b650271d4b45691f54f7ac023cbed6bb5cb19d6bd1524e1b86c3097d6cafb47ea420860f70b2281cd93dac7c18fe6dca3"
	vectorSealed        = "f800000001351a6411c92f8221a528ad432e8a8bffa163c089cda2412ab30d16c5ea25782cff901a6b8828bcf38331160807df8ac7a42d02"
	vectorToken         = "7b305bf38b99bdb59cdba54efc3cbdcb"
	vectorStream        = "fa000000014dcf33be674cb09dc31aa77dda55290435dc4360fca0307eff9471877edb8873fc47ef8b75cd898f8eff828c00d74591041f02ed874f95b88ec4da87062ee82ddcf70e1bed9dd5186de715af64f77f8bb3047f8cd22cae88"
)

// The format again, written from its description with the standard library alone.
func TestFormatIsAsDescribed(t *testing.T) {
	t.Parallel()
	part := func(s string) string { return string(binary.BigEndian.AppendUint32(nil, uint32(len(s)))) + s }
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(s)
		require.NoError(t, err)
		return b
	}
	unwrap := func(wrapped, purpose string) []byte {
		blob := unhex(wrapped)
		require.EqualValues(t, 0xf9, blob[0])
		k, err := xaes.New(bytes.Repeat([]byte("a"), 32))
		require.NoError(t, err)
		aad := "tenancy/envelope/data-key/1" + part("acme") + part(purpose) + "\x00\x00\x00\x01" + part("a")
		key, err := k.Open(nil, blob[1:], []byte(aad))
		require.NoError(t, err)
		return key
	}
	derive := func(key []byte, n int, parts ...string) []byte {
		info := "tenancy/envelope/derive/1"
		for _, p := range parts {
			info += part(p)
		}
		derived, err := hkdf.Expand(sha256.New, key, info, n)
		require.NoError(t, err)
		return derived
	}

	sealed := unhex(vectorSealed)
	require.Equal(t, []byte{0xf8, 0, 0, 0, 1}, sealed[:5])
	fields, err := xaes.New(derive(unwrap(vectorWrapped, "fields"), 32, "fields"))
	require.NoError(t, err)
	aad := "tenancy/envelope/field/1" + "\xf8\x00\x00\x00\x01" + part("acme") + part("patients") + part("ssn") + part("42")
	plain, err := fields.Open(nil, sealed[5:], []byte(aad))
	require.NoError(t, err)
	assert.Equal(t, "078-05-1120", string(plain))

	mac := hmac.New(sha256.New, derive(unwrap(vectorWrappedIndex, "indexes"), 32, "index", "acme", "patients", "ssn"))
	mac.Write([]byte("078-05-1120"))
	assert.Equal(t, vectorToken, hex.EncodeToString(mac.Sum(nil)[:16]))

	stream := unhex(vectorStream)
	require.Equal(t, []byte{0xfa, 0, 0, 0, 1}, stream[:5])
	derived := derive(unwrap(vectorWrappedStream, "archive"), 64, "stream", "acme", "archive", "a.tar", string(stream[5:37]))
	assert.Equal(t, derived[32:], stream[37:69])
	block, err := aes.NewCipher(derived[:32])
	require.NoError(t, err)
	gcm, err := cipher.NewGCM(block)
	require.NoError(t, err)
	plain, err = gcm.Open(nil, append(make([]byte, 11), 1), stream[69:], nil)
	require.NoError(t, err)
	assert.Equal(t, "archived", string(plain))
}
