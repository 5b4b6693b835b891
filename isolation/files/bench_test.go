package files_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation/files"
)

// BenchmarkOpen is opening, reading and closing a small file, beside a bare one.
func BenchmarkOpen(b *testing.B) {
	dir, a := b.TempDir(), as(b.Context(), "a")
	d := newDisk(b, dir)
	put(b, d, a, "d/one", "content")
	bare := filepath.Join(dir, "bare")
	require.NoError(b, os.WriteFile(bare, []byte("content"), 0o600))
	b.Run("os", func(b *testing.B) {
		for b.Loop() {
			_, err := os.ReadFile(bare)
			require.NoError(b, err)
		}
	})
	b.Run("disk", func(b *testing.B) {
		for b.Loop() {
			f, err := d.Open(a, "d/one")
			require.NoError(b, err)
			_, err = io.Copy(io.Discard, f)
			require.NoError(b, err)
			require.NoError(b, f.Close())
		}
	})
}

func BenchmarkPut(b *testing.B) {
	d, a := newDisk(b, b.TempDir()), as(b.Context(), "a")
	for _, size := range []int{100, 10 << 20} {
		content := make([]byte, size)
		b.Run(fmt.Sprintf("%d bytes", size), func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				_, err := d.Put(a, "one", bytes.NewReader(content))
				require.NoError(b, err)
			}
		})
	}
}

func BenchmarkList(b *testing.B) {
	d, a := newDisk(b, b.TempDir()), as(b.Context(), "a")
	for i := range 500 {
		put(b, d, a, fmt.Sprintf("d%d/f%d", i%10, i), strings.Repeat("x", 10))
	}
	b.Run("50 of 500", func(b *testing.B) {
		for b.Loop() {
			_, err := d.List(a, files.Query{Limit: 50})
			require.NoError(b, err)
		}
	})
}
