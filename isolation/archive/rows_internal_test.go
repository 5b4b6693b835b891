package archive

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSumDoesNotDependOnOrder(t *testing.T) {
	t.Parallel()
	rows := [][]byte{[]byte("a"), []byte("b"), []byte("b"), []byte("c")}
	var want tally
	for _, r := range rows {
		want.add(r)
	}
	for range 10 {
		rand.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		var got tally
		got.add([]byte("x"))
		for _, r := range rows {
			got.add(r)
		}
		assert.NotEqual(t, want, got)
		got.sub([]byte("x"))
		assert.Equal(t, want, got)
	}
	var text, back sum
	text = want.Sum
	spelt, err := text.MarshalText()
	require.NoError(t, err)
	require.NoError(t, back.UnmarshalText(spelt))
	assert.Equal(t, text, back)
	assert.Error(t, back.UnmarshalText([]byte("abc")))
}

// FuzzRow wants a row to be refused, or to be made of the values that it is cut into.
func FuzzRow(f *testing.F) {
	f.Add(appendValue(appendValue(nil, value{}), value{tagValue, []byte("text")}), 2)
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, 1)
	f.Fuzz(func(t *testing.T, data []byte, columns int) {
		values, rest, err := cutRow(nil, data, columns%100)
		if err != nil {
			return
		}
		var again []byte
		for _, v := range values {
			again = appendValue(again, v)
		}
		again, _, err = canonical(append(again, rest...), len(values))
		require.NoError(t, err)
		first, _, err := canonical(data, len(values))
		require.NoError(t, err)
		assert.True(t, bytes.Equal(first, again))
	})
}

// canonical spells a row's lengths in the shortest way.
func canonical(data []byte, columns int) ([]byte, []byte, error) {
	values, rest, err := cutRow(nil, data, columns)
	var row []byte
	for _, v := range values {
		row = appendValue(row, v)
	}
	return row, rest, err
}

// FuzzFrames feeds frames whose checksums are right to a reader.
func FuzzFrames(f *testing.F) {
	f.Add([]byte(`{"format":1,"tenant":"acme","tables":[{"name":"t","columns":[{"name":"c","kind":"int"}],"rows":0,"hash":""}]}`), []byte{0, 1, 1, '7'}, []byte(`{}`))
	f.Fuzz(func(t *testing.T, manifest, rows, end []byte) {
		var buf bytes.Buffer
		w := newFramer(&buf)
		require.NoError(t, w.write(manifestFrame, manifest))
		require.NoError(t, w.write(rowsFrame, rows))
		require.NoError(t, w.write(linksFrame, rows))
		require.NoError(t, w.write(endFrame, end))
		r := &reader{frames: newDeframer(&buf), to: discard{}}
		if err := r.frames.readJSON(manifestFrame, &r.head); err != nil {
			require.ErrorIs(t, err, ErrDamaged)
			return
		}
		if err := r.check(header{Format: 1, Tenant: "acme"}); err != nil {
			require.ErrorIs(t, err, ErrDamaged)
			return
		}
		_, err := r.run(t.Context())
		require.ErrorIs(t, err, ErrDamaged, "nobody guesses the hash of the whole")
	})
}

func TestValuesThroughSQLite(t *testing.T) {
	t.Parallel()
	for _, v := range []struct {
		kind Kind
		text string
	}{
		{Bool, "true"}, {Bool, "false"}, {Int, "-9223372036854775808"}, {Float, "1e-308"}, {Float, "0.1"}, {Float, "+Inf"},
		{Numeric, "1.5000"}, {Text, "NULL"}, {Text, ""}, {Bytes, ""}, {Bytes, "\x00\xff"}, {Date, "2026-01-02"},
		{TimestampTZ, "2026-01-02 03:04:05.678901+00"}, {TimestampTZ, "infinity"}, {TimestampTZ, "0044-03-15 12:00:00+00 BC"},
		{UUID, "6ba7b810-9dad-11d1-80b4-00c04fd430c8"}, {JSON, `{"a": 1.0}`}, {Array, `{"a",NULL}`}, {Other, "10.0.0.1/8"},
	} {
		stored, err := toSQLite(v.kind, value{tagValue, []byte(v.text)})
		require.NoError(t, err)
		if b, ok := stored.(bool); ok {
			stored = int64(btoi(b))
		}
		back, err := fromSQLite(v.kind, stored)
		require.NoError(t, err)
		assert.Equal(t, v.text, string(back.data), v.kind)
		assert.Equal(t, tagValue, back.tag, v.kind)
	}
}

func TestTimesForPostgres(t *testing.T) {
	t.Parallel()
	for from, want := range map[string]string{
		"2026-01-02 03:04:05":              "2026-01-02 03:04:05+00",
		"2026-01-02T03:04:05.500Z":         "2026-01-02 03:04:05.5+00",
		"2026-01-02 03:04:05.500+00":       "2026-01-02 03:04:05.5+00",
		"2026-01-02 05:04:05.678901+02:00": "2026-01-02 03:04:05.678901+00",
		"infinity":                         "infinity",
	} {
		v, err := toPostgres(TimestampTZ, TimestampTZ, value{tagValue, []byte(from)})
		require.NoError(t, err)
		assert.Equal(t, want, string(v.data), from)
	}
	_, err := toPostgres(Text, TimestampTZ, value{tagText, []byte("2026-01-02 03:04:05.123456789+00:00")})
	assert.ErrorContains(t, err, "RoundTimes")
	v, err := toPostgres(Text, Date, value{tagText, []byte("2026-01-02 00:00:00+00:00")})
	require.NoError(t, err)
	assert.Equal(t, "2026-01-02", string(v.data))
}

func BenchmarkHashRow(b *testing.B) {
	row := bytes.Repeat([]byte("x"), 120)
	b.SetBytes(int64(len(row)))
	b.ReportAllocs()
	var t tally
	for b.Loop() {
		t.add(row)
	}
}
