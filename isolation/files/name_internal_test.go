package files

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// decodePath is encode's inverse, by the steps of walk.
func decodePath(path string) (name string, ok bool) {
	elements := strings.Split(path, "/")
	for i, element := range elements {
		text, mark, ok := decode(element)
		if !ok || (mark == fileMark) != (i == len(elements)-1) {
			return "", false
		}
		name += text
		if mark == dirMark {
			name += "/"
		}
	}
	return name, true
}

func FuzzName(f *testing.F) {
	for _, name := range []string{"a", "a/b", "A.txt", "..", "../x", "a\\b", "nul", "é", "e\u0301", "a=", "x+/y~", strings.Repeat("n", 255), strings.Repeat("Ä", 127), "%41"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if err := ValidateName(name); err != nil {
			require.ErrorIs(t, err, ErrName)
			return
		}
		path := encode(name)
		back, ok := decodePath(path)
		require.True(t, ok, path)
		require.Equal(t, name, back)
		for element := range strings.SplitSeq(path, "/") {
			assert.LessOrEqual(t, len(element), maxPart+1)
			assert.Equal(t, strings.ToLower(element), element)
			assert.NotContains(t, element, ".")
			for _, c := range []byte(element) {
				assert.True(t, isPlain(c) || strings.ContainsRune("%=+~", rune(c)), element)
			}
		}
	})
}

// FuzzPath tries that no two paths are one name: what decodes encodes to itself, but for
// where a long segment is cut.
func FuzzPath(f *testing.F) {
	for _, path := range []string{"a=", "a+/b=", "%41=", "%61=", "a~/b=", "=", "+/=", "%2e%2e+/x="} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		name, ok := decodePath(path)
		if !ok || ValidateName(name) != nil {
			return
		}
		join := strings.NewReplacer(partMark+"/", "")
		assert.Equal(t, join.Replace(encode(name)), join.Replace(path))
	})
}

func FuzzCursor(f *testing.F) {
	f.Add(sealCursor("a", "x/y"))
	f.Add("")
	f.Fuzz(func(t *testing.T, cursor string) {
		name, err := openCursor("a", cursor)
		if err != nil {
			require.ErrorIs(t, err, ErrQuery)
			return
		}
		require.NoError(t, ValidateName(name))
		_, err = openCursor("b", cursor)
		require.ErrorIs(t, err, ErrQuery)
	})
}
