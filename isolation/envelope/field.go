package envelope

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"log/slog"
)

// Field is a struct's field whose column is encrypted. The program sees the value,
// the database sees [Sealed]. The zero Field is NULL.
//
//	type Patient struct {
//		ID  string                 `db:"id"`
//		SSN envelope.Field[string] `db:"ssn" envelope:"patients.ssn,row=ID"`
//	}
//
//	p := Patient{ID: "42", SSN: envelope.NewField("078-05-1120")}
//	err = keys.SealFields(ctx, &p)                     // before a statement that writes
//	_, err = db.NamedExecContext(ctx, `INSERT INTO patients (id, ssn) VALUES (:id, :ssn)`, p)
//
//	err = db.SelectContext(ctx, &patients, `SELECT id, ssn FROM patients`)
//	err = keys.OpenFields(ctx, patients)               // after a query
//	ssn, err := patients[0].SSN.Get()
//
// database/sql hands a Valuer no context, and so no tenant: sealing and opening are
// calls of their own. Forgetting one does no harm: a Field that is not sealed is an
// error when it is written ([ErrNotSealed]), one that is not opened when it is read
// ([ErrNotOpened]).
//
// Strings and bytes are sealed as they are, values of other types as JSON. A Field
// prints, logs and marshals as [redacted].
type Field[T any] struct {
	plain  T
	sealed Sealed
	known  bool // plain is there
}

// NewField returns a field with a value, to be sealed.
func NewField[T any](value T) Field[T] { return Field[T]{plain: value, known: true} }

// Set gives f another value, to be sealed.
func (f *Field[T]) Set(value T) { *f = NewField(value) }

// Null reports whether f is NULL.
func (f Field[T]) Null() bool { return !f.known && f.sealed == nil }

// Get returns the value; of NULL it is T's zero value. Before f was opened the error
// wraps [ErrNotOpened].
func (f Field[T]) Get() (T, error) {
	if !f.known && f.sealed != nil {
		return f.plain, ErrNotOpened
	}
	return f.plain, nil
}

// Sealed returns the ciphertext as it was last read or sealed; nil if there is none.
func (f Field[T]) Sealed() Sealed { return f.sealed }

// Seal encrypts f's value, anew if it was before, for a column of the context's
// tenant. What is NULL, or was read and not opened, stays as it is.
func (f *Field[T]) Seal(ctx context.Context, k *Keys, c Column) error {
	if !f.known {
		return nil
	}
	plain, err := encode(&f.plain)
	if err != nil {
		return fmt.Errorf("envelope: %s.%s: a value of %T cannot be kept as JSON", c.Table, c.Name, f.plain)
	}
	sealed, err := k.Seal(ctx, c, plain)
	if err != nil {
		return err
	}
	f.sealed = sealed
	return nil
}

// Open decrypts f, with the errors of [Keys.Open]. What is NULL, or has its value,
// stays as it is.
func (f *Field[T]) Open(ctx context.Context, k *Keys, c Column) error {
	if f.known || f.sealed == nil {
		return nil
	}
	plain, err := k.Open(ctx, c, f.sealed)
	if err != nil {
		return err
	}
	var value T
	if err := decode(plain, &value); err != nil {
		return fmt.Errorf("envelope: %s.%s: what it holds is no %T", c.Table, c.Name, value)
	}
	f.plain, f.known = value, true
	return nil
}

// Value implements driver.Valuer. It never returns the value in the clear.
func (f Field[T]) Value() (driver.Value, error) {
	if f.known && f.sealed == nil {
		return nil, ErrNotSealed
	}
	return f.sealed.Value()
}

// Scan implements sql.Scanner.
func (f *Field[T]) Scan(value any) error {
	*f = Field[T]{}
	return f.sealed.Scan(value)
}

// String returns [redacted].
func (f Field[T]) String() string { return redacted }

// GoString returns [redacted].
func (f Field[T]) GoString() string { return redacted }

// Format prints [redacted], whatever the verb.
func (f Field[T]) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(redacted)) }

// LogValue implements slog.LogValuer.
func (f Field[T]) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns [redacted]: what an answer is to show, the host reads with Get.
func (f Field[T]) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// UnmarshalText fails: what a request brings, the host checks and gives to Set.
func (f *Field[T]) UnmarshalText([]byte) error {
	return fmt.Errorf("envelope: a Field[%T] is not read from text; use Set", f.plain)
}

func encode(value any) ([]byte, error) {
	switch v := value.(type) {
	case *string:
		return []byte(*v), nil
	case *[]byte:
		return *v, nil
	default:
		return json.Marshal(v)
	}
}

// decode's errors may quote what it reads.
func decode(text []byte, value any) error {
	switch v := value.(type) {
	case *string:
		*v = string(text)
		return nil
	case *[]byte:
		*v = text
		return nil
	default:
		return json.Unmarshal(text, v)
	}
}
