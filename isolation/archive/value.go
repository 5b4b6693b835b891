package archive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// tag says what a value's bytes are.
type tag byte

// The tags. A column of PostgreSQL holds what its type says. SQLite lets a column
// hold anything: what is not of the column's kind keeps SQLite's own class.
const (
	tagNull  tag = iota
	tagValue     // in the one spelling that the column's kind has
	tagText
	tagInt
	tagReal
	tagBlob
	tags // how many there are
)

// value is a column's value in one spelling for all databases: hashes are made of
// it. Its bytes live until the next row is read.
type value struct {
	tag  tag
	data []byte
}

// appendValue appends v to dst, as rows in archives have it.
func appendValue(dst []byte, v value) []byte {
	dst = append(dst, byte(v.tag))
	if v.tag == tagNull {
		return dst
	}
	dst = binary.AppendUvarint(dst, uint64(len(v.data)))
	return append(dst, v.data...)
}

var errRow = errors.New("a row is not well formed")

// cutValue reads a value from the beginning of src. The value shares src's bytes.
func cutValue(src []byte) (value, []byte, error) {
	if len(src) == 0 || tag(src[0]) >= tags {
		return value{}, nil, errRow
	}
	v := value{tag: tag(src[0])}
	src = src[1:]
	if v.tag == tagNull {
		return v, src, nil
	}
	n, used := binary.Uvarint(src)
	if used <= 0 || n > uint64(len(src)-used) {
		return value{}, nil, errRow
	}
	src = src[used:]
	v.data = src[:n:n]
	return v, src[n:], nil
}

// appendFloat appends f as every archive spells it.
func appendFloat(dst []byte, f float64) []byte { return strconv.AppendFloat(dst, f, 'g', -1, 64) }

// fromPostgres returns what a column of PostgreSQL holds, from the text of it, or
// from its bytes if the kind is Bytes. nil is NULL.
func fromPostgres(k Kind, raw []byte) (value, error) {
	if raw == nil {
		return value{}, nil
	}
	if k != Float {
		return value{tagValue, raw}, nil
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil {
		return value{}, err
	}
	return value{tagValue, appendFloat(nil, f)}, nil
}

// utc ends PostgreSQL's text of a time in UTC, and sqliteUTC that of SQLite's driver.
const (
	utc       = "+00"
	sqliteUTC = "+00:00"
)

// fromSQLite returns what a column of SQLite holds, if it is taken for one of kind k.
func fromSQLite(k Kind, raw any) (value, error) {
	switch x := raw.(type) {
	case nil:
		return value{}, nil
	case int64:
		return sqliteInt(k, x), nil
	case float64:
		if k == Float {
			return value{tagValue, appendFloat(nil, x)}, nil
		}
		return value{tagReal, appendFloat(nil, x)}, nil
	case string:
		return sqliteText(k, x), nil
	case []byte:
		if k == Bytes {
			return value{tagValue, x}, nil
		}
		return value{tagBlob, x}, nil
	default:
		return value{}, fmt.Errorf("the driver returned a %T", raw)
	}
}

func sqliteInt(k Kind, n int64) value {
	switch {
	case k == Bool && n == 0:
		return value{tagValue, []byte("false")}
	case k == Bool && n == 1:
		return value{tagValue, []byte("true")}
	case k == Float && int64(float64(n)) == n:
		return value{tagValue, appendFloat(nil, float64(n))}
	}
	digits := strconv.AppendInt(nil, n, 10)
	if k == Int || k == Numeric || k == JSON {
		return value{tagValue, digits}
	}
	return value{tagInt, digits}
}

func sqliteText(k Kind, s string) value {
	switch k {
	case Bool, Int, Float, Bytes:
		return value{tagText, []byte(s)}
	case TimestampTZ:
		if bare, ok := strings.CutSuffix(s, sqliteUTC); ok {
			return value{tagValue, []byte(bare + utc)}
		}
		if strings.HasSuffix(s, utc) { // would come back in the other spelling
			return value{tagText, []byte(s)}
		}
	default: // is text as it stands
	}
	return value{tagValue, []byte(s)}
}

// toSQLite returns the parameter that stores v in SQLite.
func toSQLite(k Kind, v value) (any, error) {
	switch v.tag {
	case tagNull:
		return nil, nil
	case tagText:
		return string(v.data), nil
	case tagInt:
		return strconv.ParseInt(string(v.data), 10, 64)
	case tagReal:
		return strconv.ParseFloat(string(v.data), 64)
	case tagBlob:
		return bytes.Clone(v.data), nil
	default: // the kind tells
	}
	switch k {
	case Bool:
		return string(v.data) == "true", nil
	case Int:
		return strconv.ParseInt(string(v.data), 10, 64)
	case Float:
		return strconv.ParseFloat(string(v.data), 64)
	case Bytes:
		return append([]byte{}, v.data...), nil // nil would be NULL
	case TimestampTZ:
		if bare, ok := bytes.CutSuffix(v.data, []byte(utc)); ok {
			return string(bare) + sqliteUTC, nil
		}
	default: // is text as it stands
	}
	return string(v.data), nil
}

// toPostgres returns v, of a column of kind from, as a column of kind to will tell
// it, so that what was stored can be compared. PostgreSQL's type decides what a
// value means; nothing of it may be lost.
func toPostgres(from, to Kind, v value) (value, error) {
	if v.tag == tagNull || from == to && v.tag == tagValue && isSpelt(to, v.data) {
		return v, nil
	}
	binary := v.tag == tagBlob || v.tag == tagValue && from == Bytes
	if to == Bytes {
		return value{tagValue, v.data}, nil
	}
	if binary {
		return value{}, fmt.Errorf("bytes are no %s", to)
	}
	data, err := reinterpret(from, to, string(v.data))
	if err != nil {
		return value{}, err
	}
	return value{tagValue, []byte(data)}, nil
}

// isSpelt reports whether a value of kind k is certain to be spelt as PostgreSQL does.
func isSpelt(k Kind, data []byte) bool {
	const whole, date = len("2006-01-02 15:04:05+00"), len("2006-01-02")
	n := len(data)
	switch k {
	case Date:
		return n == date
	case TimestampTZ:
		return n >= whole && n <= whole+len(".999999") && data[date] == ' ' && string(data[n-len(utc):]) == utc &&
			(n == whole || data[n-len(utc)-1] != '0')
	case Bool, UUID:
		return false // cheap to spell anew
	default:
		return true
	}
}

func reinterpret(from, to Kind, s string) (string, error) {
	switch to {
	case Bool:
		b, err := strconv.ParseBool(s)
		return strconv.FormatBool(b), err
	case Int:
		if from == Bool {
			return map[string]string{"true": "1", "false": "0"}[s], nil
		}
	case Float:
		f, err := strconv.ParseFloat(s, 64)
		return string(appendFloat(nil, f)), err
	case UUID:
		return strings.ToLower(s), nil
	case TimestampTZ:
		return instant(s)
	case Timestamp:
		return strings.TrimSuffix(strings.TrimSuffix(s, sqliteUTC), utc), nil
	case Date:
		return day(s), nil
	default: // is text as it stands
	}
	return s, nil
}

// timeLayouts are the spellings of a time that SQLite's own functions know, and
// that its drivers write.
var timeLayouts = []string{
	"2006-01-02 15:04:05.999999999Z07:00",
	"2006-01-02T15:04:05.999999999Z07:00",
	"2006-01-02 15:04:05.999999999Z07",
	"2006-01-02 15:04:05.999999999",
	"2006-01-02T15:04:05.999999999",
	"2006-01-02 15:04",
	"2006-01-02",
}

// instant returns a time as PostgreSQL spells it in UTC. What it does not know, such
// as infinity or a year before Christ, is left to PostgreSQL.
func instant(s string) (string, error) {
	for _, layout := range timeLayouts {
		t, err := time.Parse(layout, s)
		if err != nil {
			continue
		}
		if t.Nanosecond()%1000 != 0 {
			return "", fmt.Errorf("time %s is finer than PostgreSQL's microseconds; round it where it is, or export with RoundTimes", s)
		}
		return t.UTC().Format("2006-01-02 15:04:05.999999") + utc, nil
	}
	return s, nil
}

// day returns a date without the midnight that SQLite's driver gives it.
func day(s string) string {
	const layout = "2006-01-02"
	if len(s) <= len(layout) {
		return s
	}
	rest := strings.TrimSuffix(strings.TrimSuffix(s[len(layout):], "Z"), sqliteUTC)
	if rest == " 00:00:00" || rest == "T00:00:00" {
		return s[:len(layout)]
	}
	return s
}

// rounded returns v with a time in it rounded to microseconds.
func rounded(k Kind, v value) value {
	if k != TimestampTZ || v.tag == tagNull {
		return v
	}
	for _, layout := range timeLayouts {
		t, err := time.Parse(layout, string(v.data))
		if err == nil && t.Nanosecond()%1000 != 0 {
			return value{tagValue, []byte(t.Round(time.Microsecond).UTC().Format("2006-01-02 15:04:05.999999") + utc)}
		}
	}
	return v
}
