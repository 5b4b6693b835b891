package archive

import (
	"context"
	"io"

	"github.com/tenancy-go/tenancy/tenant"
)

// Cipher seals archives: with keys of people (package archive/agecipher), with a
// tenant's own key, or with a host's. What it makes must be authenticated to its
// end: a stream that was cut or changed must fail to be read.
type Cipher interface {
	// Name stands in the clear at the beginning of an archive, to say how to open it.
	Name() string
	// Encrypt returns a writer that writes to w, encrypted. Close ends the stream
	// and leaves w open.
	Encrypt(ctx context.Context, id tenant.ID, w io.Writer) (io.WriteCloser, error)
	// Decrypt returns what Encrypt took, for the tenant that was exported.
	Decrypt(ctx context.Context, id tenant.ID, r io.Reader) (io.Reader, error)
}
