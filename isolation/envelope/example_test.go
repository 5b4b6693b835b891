package envelope_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/tenancy-go/tenancy/isolation/envelope"
	"github.com/tenancy-go/tenancy/tenant"
)

// exampleKeys returns keys with a file of wrapping keys and a store in memory.
func exampleKeys() (*envelope.Keys, func(), error) {
	dir, err := os.MkdirTemp("", "envelope")
	if err != nil {
		return nil, nil, err
	}
	cleanup := func() { _ = os.RemoveAll(dir) }
	path := filepath.Join(dir, "keys")
	if err := envelope.CreateKeyFile(path, ""); err != nil {
		return nil, cleanup, err
	}
	provider, err := envelope.OpenKeyring(path)
	if err != nil {
		return nil, cleanup, err
	}
	keys, err := envelope.New(provider, envelope.NewMemoryStore())
	return keys, cleanup, err
}

func Example() {
	keys, cleanup, err := exampleKeys()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cleanup()
	acme := tenant.NewContext(context.Background(), tenant.Tenant{ID: "acme"})
	globex := tenant.NewContext(context.Background(), tenant.Tenant{ID: "globex"})
	ssn := envelope.Column{Table: "patients", Name: "ssn"}

	sealed, err := keys.Seal(acme, ssn.At("42"), []byte("078-05-1120"))
	fmt.Println(len(sealed), err)
	plaintext, err := keys.Open(acme, ssn.At("42"), sealed)
	fmt.Println(string(plaintext), err)
	_, err = keys.Open(acme, ssn.At("43"), sealed)
	fmt.Println(err)
	_, err = keys.Open(globex, ssn.At("42"), sealed)
	fmt.Println(err)

	_, err = keys.Shred(tenant.System(context.Background(), "acme left"), "acme")
	fmt.Println(err)
	_, err = keys.Open(acme, ssn.At("42"), sealed)
	fmt.Println(errors.Is(err, envelope.ErrShredded))
	// Output:
	// 56 <nil>
	// 078-05-1120 <nil>
	// envelope: ciphertext does not open here: patients.ssn
	// envelope: ciphertext does not open here: patients.ssn
	// <nil>
	// true
}

func ExampleField() {
	keys, cleanup, err := exampleKeys()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cleanup()
	acme := tenant.NewContext(context.Background(), tenant.Tenant{ID: "acme"})

	type Patient struct {
		ID  string                 `db:"id"`
		SSN envelope.Field[string] `db:"ssn" envelope:"patients.ssn,row=ID"`
	}
	p := Patient{ID: "42", SSN: envelope.NewField("078-05-1120")}
	_, err = p.SSN.Value() // what a statement would write
	fmt.Println(err)
	err = keys.SealFields(acme, &p)
	written, _ := p.SSN.Value()
	fmt.Printf("%T %v\n", written, err)

	read := Patient{ID: "42"} // as a query fills it
	err = read.SSN.Scan(written)
	fmt.Println(read, err)
	err = keys.OpenFields(acme, []*Patient{&read})
	fmt.Println(err)
	fmt.Println(read.SSN.Get())
	// Output:
	// envelope: field is not sealed (call SealFields or Field.Seal before the statement)
	// []uint8 <nil>
	// {42 [redacted]} <nil>
	// <nil>
	// 078-05-1120 <nil>
}

func ExampleKeys_Writer() {
	keys, cleanup, err := exampleKeys()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cleanup()
	acme := tenant.NewContext(context.Background(), tenant.Tenant{ID: "acme"})

	var file bytes.Buffer
	w, err := keys.Writer(acme, &file, "archive", "acme-2026-11.tar")
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = io.WriteString(w, "all that acme has")
	fmt.Println(err, w.Close())

	r, err := keys.Reader(acme, &file, "archive", "acme-2026-11.tar")
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := io.ReadAll(r)
	fmt.Println(string(text), err)
	// Output:
	// <nil> <nil>
	// all that acme has <nil>
}
