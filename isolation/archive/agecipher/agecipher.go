package agecipher

import (
	"context"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"

	"github.com/tenancy-go/tenancy/isolation/archive"
	"github.com/tenancy-go/tenancy/tenant"
)

// Cipher encrypts archives to recipients, and decrypts them with identities. It is
// safe for concurrent use.
type Cipher struct {
	recipients []age.Recipient
	identities []age.Identity
}

var _ archive.Cipher = (*Cipher)(nil)

// New returns a cipher. Whoever only exports needs no identities, and whoever only
// restores no recipients.
func New(recipients []age.Recipient, identities []age.Identity) (*Cipher, error) {
	if len(recipients) == 0 && len(identities) == 0 {
		return nil, errors.New("agecipher: want recipients to encrypt to, identities to decrypt with, or both")
	}
	return &Cipher{recipients, identities}, nil
}

// Name returns "age".
func (c *Cipher) Name() string { return "age" }

// Encrypt returns a writer that encrypts to all recipients.
func (c *Cipher) Encrypt(_ context.Context, _ tenant.ID, w io.Writer) (io.WriteCloser, error) {
	if len(c.recipients) == 0 {
		return nil, errors.New("agecipher: no recipients were given")
	}
	return age.Encrypt(w, c.recipients...)
}

// Decrypt returns what one of the identities can read.
func (c *Cipher) Decrypt(_ context.Context, _ tenant.ID, r io.Reader) (io.Reader, error) {
	if len(c.identities) == 0 {
		return nil, errors.New("agecipher: no identities were given")
	}
	clear, err := age.Decrypt(r, c.identities...)
	if err != nil {
		return nil, fmt.Errorf("agecipher: %w", err)
	}
	return clear, nil
}
