package xaes

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
)

// Sizes in bytes.
const (
	KeySize   = 32
	NonceSize = 24
	TagSize   = 16
	Overhead  = NonceSize + TagSize // of a box over its plaintext
)

// half is the part of a nonce that derives the message's key.
const half = NonceSize / 2

// ErrOpen means that a box was not made by this key and additional data, or has
// been changed.
var ErrOpen = errors.New("xaes: message is not authentic")

// Key seals and opens. It is safe for concurrent use.
type Key struct {
	block cipher.Block
	mask  [aes.BlockSize]byte // K1 of CMAC
}

// New returns a Key of a secret of [KeySize] bytes, of which it keeps the expanded
// form.
func New(secret []byte) (*Key, error) {
	if len(secret) != KeySize {
		return nil, fmt.Errorf("xaes: want a key of %d bytes, got %d", KeySize, len(secret))
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, err
	}
	k := &Key{block: block}
	block.Encrypt(k.mask[:], k.mask[:])
	double(&k.mask)
	return k, nil
}

// double multiplies by x in GF(2^128), as CMAC defines it (NIST SP 800-38B,
// section 6.1), in constant time.
func double(b *[aes.BlockSize]byte) {
	msb := b[0] >> 7
	for i := range aes.BlockSize - 1 {
		b[i] = b[i]<<1 | b[i+1]>>7
	}
	b[aes.BlockSize-1] = b[aes.BlockSize-1]<<1 ^ msb*0b10000111
}

// derive returns the AEAD of one message.
func (k *Key) derive(nonce []byte) (cipher.AEAD, error) {
	var derived [KeySize]byte
	for i := range 2 {
		block := derived[i*aes.BlockSize : (i+1)*aes.BlockSize]
		copy(block, []byte{0, byte(i + 1), 'X', 0})
		copy(block[4:], nonce[:half])
		subtle.XORBytes(block, block, k.mask[:])
		k.block.Encrypt(block, block)
	}
	block, err := aes.NewCipher(derived[:])
	clear(derived[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// Seal appends a box to dst: a random nonce, the ciphertext and its tag.
func (k *Key) Seal(dst, plaintext, additional []byte) ([]byte, error) {
	at := len(dst)
	dst = append(dst, make([]byte, NonceSize)...)
	_, _ = rand.Read(dst[at:]) // never fails: crypto/rand ends the program instead
	return k.SealWithNonce(dst, dst[at:], plaintext, additional)
}

// SealWithNonce appends the ciphertext and its tag to dst. No two messages of a
// key may share a nonce, which is [NonceSize] bytes long.
func (k *Key) SealWithNonce(dst, nonce, plaintext, additional []byte) ([]byte, error) {
	aead, err := k.derive(nonce)
	if err != nil {
		return nil, err
	}
	return aead.Seal(dst, nonce[half:], plaintext, additional), nil
}

// Open appends a box's plaintext to dst. Its only error, for whatever reason, is
// [ErrOpen].
func (k *Key) Open(dst, box, additional []byte) ([]byte, error) {
	if len(box) < Overhead {
		return nil, ErrOpen
	}
	aead, err := k.derive(box[:NonceSize])
	if err != nil {
		return nil, ErrOpen
	}
	plaintext, err := aead.Open(dst, box[half:NonceSize], box[NonceSize:], additional)
	if err != nil {
		return nil, ErrOpen
	}
	return plaintext, nil
}
