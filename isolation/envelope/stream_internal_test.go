package envelope

import (
	"bytes"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

// An empty chunk at the end of a stream is another way to write the same; no Writer does,
// and no Reader takes it.
func TestAnEmptyLastChunkIsRefused(t *testing.T) {
	t.Parallel()
	key, err := newDataKey(1, bytes.Repeat([]byte{7}, keySize))
	require.NoError(t, err)
	open := func() *chunker {
		chunks, _, err := openStream(key, ringID{"acme", "archive"}, "", make([]byte, saltSize))
		require.NoError(t, err)
		return chunks
	}
	chunks := open()
	first := chunks.seal(make([]byte, chunkSize, boxSize), false)
	stream := append(first, chunks.seal(make([]byte, 0, tagSize), true)...)
	_, err = io.ReadAll(&reader{src: bytes.NewReader(stream), chunks: open(), box: make([]byte, boxSize+1)})
	require.ErrorIs(t, err, ErrOpen)
	_, err = io.ReadAll(&reader{src: bytes.NewReader(open().seal(make([]byte, 0, tagSize), true)), chunks: open(), box: make([]byte, boxSize+1)})
	require.NoError(t, err, "an empty stream has one")
}
