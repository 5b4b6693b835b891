package envelope

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"

	"github.com/tenancy-go/tenancy/tenant"
)

// A stream is a header and chunks. The header is the kind (1 byte), the key version
// (4 bytes, big-endian), a random salt and a commitment to the key (32 bytes each).
// Each chunk holds 64 KiB, the last one what is left, and the tag of AES-256-GCM
// under a key that HKDF derives from the data key, tenant, purpose, name and salt
// for this stream alone. The nonce of a chunk is its number (11 bytes, big-endian)
// and one byte that is 1 in the last chunk: the construction STREAM of
// https://eprint.iacr.org/2015/189, with the sizes of https://c2sp.org/age. So
// chunks that were changed, moved, repeated, left out or taken from another stream
// do not open, and neither does a stream that was cut between two chunks. The
// commitment is derived beside the key: no stream opens under two keys, and a wrong
// key is noticed before the first chunk.
const (
	saltSize   = 32
	commitSize = 32
	headSize   = versionEnd + saltSize + commitSize
	chunkSize  = 64 << 10
	tagSize    = 16
	boxSize    = chunkSize + tagSize
)

// chunker numbers the chunks of a stream.
type chunker struct {
	aead  cipher.AEAD
	nonce [12]byte
}

// seek goes to a chunk.
func (c *chunker) seek(chunk uint64, last bool) {
	binary.BigEndian.PutUint64(c.nonce[3:11], chunk)
	c.nonce[11] = 0
	if last {
		c.nonce[11] = 1
	}
}

// number returns the chunk that comes next. It cannot overflow: 2^64 chunks are
// 2^80 bytes.
func (c *chunker) number() uint64 { return binary.BigEndian.Uint64(c.nonce[3:11]) }

// seal seals the next chunk, in place.
func (c *chunker) seal(plain []byte, last bool) []byte {
	number := c.number()
	c.seek(number, last)
	box := c.aead.Seal(plain[:0], c.nonce[:], plain, nil)
	c.seek(number+1, false)
	return box
}

// open opens the next chunk, in place. Only an empty stream has an empty chunk.
func (c *chunker) open(box []byte, last bool) ([]byte, error) {
	number := c.number()
	c.seek(number, last)
	plain, err := c.aead.Open(box[:0], c.nonce[:], box, nil)
	if err != nil || len(plain) == 0 && number > 0 {
		return nil, ErrOpen
	}
	c.seek(number+1, false)
	return plain, nil
}

// openStream returns the chunker of a stream, and the commitment to its key.
func openStream(key *dataKey, id ringID, name string, salt []byte) (*chunker, []byte, error) {
	derived, err := key.derive(keySize+commitSize, "stream", string(id.tenant), string(id.purpose), name, string(salt))
	if err != nil {
		return nil, nil, err
	}
	defer clear(derived[:keySize])
	block, err := aes.NewCipher(derived[:keySize])
	if err != nil {
		return nil, nil, err
	}
	aead, err := cipher.NewGCM(block)
	return &chunker{aead: aead}, derived[keySize:], err
}

// streamID returns what a stream belongs to.
func streamID(ctx context.Context, p Purpose) (ringID, error) {
	id, err := tenant.IDFromContext(ctx)
	if err != nil {
		return ringID{}, err
	}
	if err := p.Validate(); err != nil {
		return ringID{}, err
	}
	if p == Fields || p == Indexes {
		return ringID{}, fmt.Errorf("envelope: purpose %q is for columns; give streams one of their own", p)
	}
	return ringID{id, p}, nil
}
