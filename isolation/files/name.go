package files

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const (
	maxNameLen    = 1024
	maxSegmentLen = 255
)

// ValidateName returns an error wrapping [ErrName] unless name may be a file's.
func ValidateName(name string) error {
	switch {
	case name == "" || len(name) > maxNameLen:
		return badName(name, "want 1 to %d bytes, got %d", maxNameLen, len(name))
	case !utf8.ValidString(name):
		return badName(name, "want UTF-8")
	case !norm.NFC.IsNormalString(name):
		return badName(name, "want Unicode's form NFC; normalise it first")
	}
	for _, r := range name {
		switch {
		case r == '\\' || r == ':':
			return badName(name, "want no %q", r)
		case unicode.IsControl(r) || isBidi(r) || r == utf8.RuneError:
			return badName(name, "want no control characters, got %U", r)
		}
	}
	for segment := range strings.SplitSeq(name, "/") {
		if why := judge(segment); why != "" {
			return badName(name, "%s", why)
		}
	}
	return nil
}

// judge says what is wrong with a segment, or "".
func judge(segment string) string {
	switch {
	case segment == "":
		return "want no slash at an end, and no two in a row"
	case len(segment) > maxSegmentLen:
		return fmt.Sprintf("want at most %d bytes between slashes, got %d", maxSegmentLen, len(segment))
	case segment == "." || segment == "..":
		return "want no . and no .. between slashes"
	case strings.HasSuffix(segment, ".") || strings.HasSuffix(segment, " ") || strings.HasPrefix(segment, " "):
		return "want no dot at the end, and no space at an end, of a segment"
	case isReserved(segment):
		return "want no name that Windows reserves, such as nul or com1.txt"
	}
	return ""
}

// isReserved reports whether Windows takes a segment for a device.
func isReserved(segment string) bool {
	base, _, _ := strings.Cut(segment, ".")
	base = strings.ToLower(strings.TrimRight(base, " "))
	switch base {
	case "con", "prn", "aux", "nul", "conin$", "conout$":
		return true
	}
	if digit, ok := strings.CutPrefix(base, "com"); ok {
		return isPort(digit)
	}
	digit, ok := strings.CutPrefix(base, "lpt")
	return ok && isPort(digit)
}

func isPort(s string) bool {
	switch s {
	case "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "¹", "²", "³":
		return true
	}
	return false
}

// isBidi reports whether r turns the direction of text around, which shows a name as
// another.
func isBidi(r rune) bool { return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 }

func badName(name, format string, args ...any) error {
	if len(name) > 64 {
		name = strings.ToValidUTF8(name[:64], "") + "…"
	}
	return fmt.Errorf("%w: %q: %s", ErrName, name, fmt.Sprintf(format, args...))
}

// On disk, each segment of a name is one element of a path, or several if it is long.
// The last character of an element says what it is, so that no two names share a path
// and no file is where another name has a directory.
const (
	fileMark = "=" // a whole last segment, or its last part
	dirMark  = "+" // a whole segment before a slash, or its last part
	partMark = "~" // a part of a segment, continued below
	// maxPart keeps elements below what every file system takes, 255 bytes.
	maxPart = 200
)

// encode returns the path of a valid name, with slashes.
func encode(name string) string {
	var b strings.Builder
	b.Grow(len(name) + 8)
	for {
		segment, rest, more := strings.Cut(name, "/")
		encodeSegment(&b, segment)
		if !more {
			b.WriteString(fileMark)
			return b.String()
		}
		b.WriteString(dirMark + "/")
		name = rest
	}
}

func encodeSegment(b *strings.Builder, segment string) {
	const hexDigits = "0123456789abcdef"
	part := 0
	for i := range len(segment) {
		if part > maxPart-3 {
			b.WriteString(partMark + "/")
			part = 0
		}
		if c := segment[i]; isPlain(c) {
			b.WriteByte(c)
			part++
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hexDigits[segment[i]>>4])
		b.WriteByte(hexDigits[segment[i]&15])
		part += 3
	}
}

// isPlain reports whether c is written as it is. Upper-case letters are not, for disks
// that do not tell them from lower-case ones; the dot is not, so that no element is
// special or hidden, or reserved with a suffix.
func isPlain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

// decode returns the text of one element of a path and its mark. ok is false for what
// encode never writes.
func decode(element string) (text, mark string, ok bool) {
	if element == "" {
		return "", "", false
	}
	element, mark = element[:len(element)-1], element[len(element)-1:]
	if mark != fileMark && mark != dirMark && mark != partMark {
		return "", "", false
	}
	var b strings.Builder
	for i := 0; i < len(element); i++ {
		c := element[i]
		if isPlain(c) {
			b.WriteByte(c)
			continue
		}
		if c != '%' || i+2 >= len(element) {
			return "", "", false
		}
		high, low := unhex(element[i+1]), unhex(element[i+2])
		if high < 0 || low < 0 || isPlain(byte(high<<4|low)) {
			return "", "", false
		}
		b.WriteByte(byte(high<<4 | low))
		i += 2
	}
	return b.String(), mark, true
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}
